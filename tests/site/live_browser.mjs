// What the tests of "Run live" share: a server of the built site, isolated or not, pages that report what they should
// not do, and the status of a live page.
import { axeSource, openBrowser, serve as serveFolder, SITE } from "./server.mjs";

export { SITE };
export const browser = await openBrowser();

// With these headers a page may share memory with its worker.
const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

const problems = [];
let passed = 0;

export function expect(what, holds, detail = "") {
  if (holds) passed += 1;
  else problems.push(`${what} ${detail}`);
}

export async function finish() {
  await browser.close();
  for (const problem of problems) console.log(`NO ${problem}`);
  console.log(`${passed} passed, ${problems.length} failed`);
  process.exit(problems.length ? 1 : 0);
}

export async function serve(isolated) {
  const { url } = await serveFolder(SITE, isolated ? ISOLATED : {});
  return url;
}

// A page that reports foreign requests, missing files, and errors of its scripts.
export async function open(base, address, { config, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(120_000); // a busy machine
  const page = await context.newPage();
  page.on("request", (request) => {
    const own = request.url().startsWith(base) || /^(data|blob):/.test(request.url());
    expect("the site asks nobody else", own, request.url());
  });
  page.on("response", (answer) => {
    const icon = answer.url().endsWith("favicon.ico");
    expect("the file is there", icon || answer.status() < 400, answer.url());
  });
  page.on("pageerror", (error) => expect("no error in a script", false, `${address} ${error.message}`));
  if (config) await page.route("**/live/config.json", (route) => changed(route, config));
  await page.goto(base + address);
  return page;
}

async function changed(route, change) {
  const answer = await route.fetch();
  const json = await answer.json();
  change(json);
  await route.fulfill({ response: answer, json });
}

// What "Run live" has added; other tests check the recorded pages.
const ADDED = ["#live-bar", ".live-editor", ".live-tools", ".live-output", ".live-exercise"];

export async function checkAccessible(page, where) {
  await page.evaluate(axeSource());
  const { violations } = await page.evaluate((include) => self.axe.run({ include }), ADDED);
  for (const { id, impact, nodes } of violations) {
    expect(`axe: ${id} (${impact})`, false, `${where}: ${nodes.length} times, first ${nodes[0].html.slice(0, 200)}`);
  }
  expect("axe ran", true);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect("the page does not scroll sideways", wide <= 0, `${where}: ${wide} px too wide`);
}

// The text of the status, as soon as it fits the pattern.
export async function status(page, pattern, seconds = 600) {
  const fits = ([source, flags]) => {
    const text = document.querySelector("#live-status")?.textContent ?? null;
    return text !== null && new RegExp(source, flags).test(text) ? { text } : null;
  };
  const found = await page.waitForFunction(fits, [pattern.source, pattern.flags], { timeout: seconds * 1000, polling: 50 });
  return (await found.jsonValue()).text;
}
