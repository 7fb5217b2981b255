// node live_lessons.mjs 07 08: these lessons live, from the click to the last claim. Prints for each the seconds that
// passed, and the seconds of the processor, which depend less on what else the machine does.
import { readdirSync } from "node:fs";
import path from "node:path";
import { SITE, browser, expect, finish, open, serve, status } from "./live_browser.mjs";

const base = await serve(false);
const pages = readdirSync(path.join(SITE, "lessons")).filter((name) => name.endsWith(".html"));
const session = await browser.newBrowserCDPSession();
const measured = {};

for (const number of process.argv.slice(2)) {
  const name = pages.find((page) => page.startsWith(`lesson_${number}_`));
  expect("the lesson has a page", name, number);
  if (name) await runLesson(name.replace(".html", ""));
}
console.log(JSON.stringify(measured, null, 1));
await finish();

async function runLesson(stem) {
  const page = await open(base, `lessons/${stem}.html`);
  const recorded = await page.evaluate(countParts);
  await page.waitForSelector("#live:not([hidden])");
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  const long = (await page.textContent(".live-note")).includes("Run all");
  await page.click("#live");
  await status(page, /Loading/);
  await status(page, /^(?!Loading|Starting)/);
  const ready = seconds();
  measured.start = Math.round(await processorSeconds());
  if (long) await page.click("#live-all"); // a long lesson waits for this
  const end = await status(page, /claims hold$|^Cell|^Python could|^Python ended/, 3600).catch(() => "no end");
  const passed = seconds();
  const processor = await processorSeconds();
  measured[stem] = Math.round(processor);
  const words = [`ready after ${ready.toFixed(1)} s`, `"${end}" after ${passed.toFixed(1)} s`];
  console.log(`${stem}: ${words.join(", ")}, ${processor.toFixed(1)} s of the processor`);
  const live = await page.evaluate(countParts);
  expect("the recorded page shows claims", recorded.claims > 0, stem);
  expect("as many claims hold as on the recorded page", end === `${recorded.claims} of ${recorded.claims} claims hold`, `${stem}: ${end}`);
  expect("as many figures as on the recorded page", live.figures === recorded.figures, `${stem}: ${live.figures} of ${recorded.figures}`);
  expect("each figure has a text", live.alts === live.figures, stem);
  expect("no recorded claim is left beside a live one", live.claims === recorded.claims, `${stem}: ${live.claims}`);
  await page.context().close();
}

// Of the page and its worker: together they are one process, and the pages before it have been closed.
async function processorSeconds() {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  return Math.max(0, ...processInfo.filter(({ type }) => type === "renderer").map(({ cpuTime }) => cpuTime));
}

// What can be seen of a lesson's results. Figures in folded parts count, too.
function countParts() {
  const seen = (part) => !part.closest(".cell_output[hidden]");
  const figures = [...document.querySelectorAll(".cell_output img")].filter(seen);
  return {
    claims: [...document.querySelectorAll(".cell_output ul.claims li")].filter(seen).length,
    figures: figures.length,
    alts: figures.filter((image) => image.alt.length > 10).length,
  };
}
