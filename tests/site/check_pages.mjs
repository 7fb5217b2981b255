// node check_pages.mjs [PART PARTS]: checks every page of site/ in a browser, or only part PART (from 0) of PARTS.
// At 1280 and 390 pixels, light and dark: no error, no foreign request, headings in order, pictures with their text,
// formulas set, nothing that scrolls sideways, and nothing that axe-core finds serious. Part 0 also checks the search.
// Prints one line for each fault, and at the end the number of pages and checks. Exit status 1 if there is a fault.
import fs from "node:fs";
import path from "node:path";
import { axeSource, openBrowser, serve, SITE } from "./server.mjs";

const SCHEMES = ["light", "dark"];
const WIDTHS = [1280, 390];
const WITH_CODE = ["lessons/lesson_01", "lessons/lesson_07", "code/ops/conv.py.html"]; // of the pages with code, axe-core sees these
const axe = axeSource();
const faults = new Set();
let checks = 0;

function expect(holds, fault) {
  checks += 1;
  if (!holds) faults.add(fault);
}

function pagesOf(folder) {
  const names = fs.readdirSync(folder, { recursive: true }).map((name) => name.split(path.sep).join("/"));
  return names.filter((name) => name.endsWith(".html") && !name.startsWith("_")).sort();
}

/** A page that reports everything it should not do. */
async function listeningPage(browser, base) {
  const page = await (await browser.newContext()).newPage();
  page.on("request", (request) => {
    const own = request.url().startsWith(base) || /^(data|blob):/.test(request.url());
    expect(own, `${page.url()} asks for ${request.url()}`);
  });
  page.on("response", (response) => expect(response.status() < 400, `${page.url()} lacks ${response.url()}`));
  page.on("pageerror", (error) => expect(false, `${page.url()} fails: ${error.message}`));
  page.on("console", (message) => expect(message.type() !== "error", `${page.url()} prints: ${message.text()}`));
  return page;
}

/** What a page holds, whatever its width and colours. Runs in the page. */
async function contents() {
  const images = [...document.images];
  for (const image of images) image.loading = "eager";
  await Promise.all(images.map((image) => image.decode().catch(() => {})));
  const headings = [...document.querySelectorAll("article :is(h1, h2, h3, h4, h5, h6)")].map((h) => Number(h.tagName[1]));
  const formulas = [...document.querySelectorAll(".math")];
  return {
    titles: document.querySelectorAll("h1").length,
    jumps: headings.some((level, i) => level > (headings[i - 1] ?? 0) + 1),
    nameless: images.filter((image) => !image.alt).map((image) => image.src),
    missing: images.filter((image) => !image.naturalWidth).map((image) => image.src),
    unset: formulas.filter((math) => !math.querySelector(".katex") || math.querySelector(".katex-error")).length,
    folders: document.querySelector("article")?.textContent.match(/\/(?:tmp|root|home)\/\S*/g) ?? [],
    figures: document.querySelectorAll(".cell_output img").length,
    claims: document.querySelectorAll("ul.claims-box li").length,
    live: document.querySelectorAll("button#live").length,
    downloads: [...document.querySelectorAll("a[download]")].map((link) => link.href),
  };
}

async function checkContents(page, name) {
  const found = await page.evaluate(contents);
  expect(found.titles === 1, `${name} has ${found.titles} h1`);
  expect(!found.jumps, `${name} leaves out a level of headings`);
  expect(found.nameless.length === 0, `${name}: no alternative text: ${found.nameless}`);
  expect(found.missing.length === 0, `${name}: pictures not shown: ${found.missing}`);
  expect(found.unset === 0, `${name}: ${found.unset} formulas are not set`);
  if (name.startsWith("lessons/")) {
    expect(found.figures > 0, `${name} shows no figure`);
    expect(found.claims > 0, `${name} lists no claims`);
    expect(found.live === 1, `${name} has ${found.live} buttons "Run live"`);
    expect(found.folders.length === 0, `${name} names a folder of the machine: ${found.folders}`);
    expect(found.downloads.length >= 2, `${name} offers no downloads`);
  }
  for (const link of new Set(found.downloads)) expect((await page.request.get(link)).ok(), `${name} lacks ${link}`);
}

async function checkLooks(page, name) {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(wide <= 0, `${name} is ${wide} pixels too wide at ${width}`);
  }
}

/** Takes out the colours of code and the visible pieces of formulas; screen readers read MathML instead. Every box keeps
 * its size. To exclude these elements by axe-core's options would be far slower. Runs in the page. */
function simplify() {
  for (const word of document.querySelectorAll(".highlight pre span")) word.replaceWith(...word.childNodes);
  for (const code of document.querySelectorAll(".highlight pre")) code.normalize();
  const formulas = [...document.querySelectorAll(".katex-html .base")];
  const boxes = formulas.map((formula) => formula.getBoundingClientRect());
  for (const [i, formula] of formulas.entries()) {
    formula.replaceChildren();
    formula.style.width = `${boxes[i].width}px`;
    formula.style.height = `${boxes[i].height}px`;
  }
}

async function checkAccess(page, name, scheme) {
  await page.emulateMedia({ colorScheme: scheme });
  await page.evaluate(axe);
  if (!WITH_CODE.some((start) => name.startsWith(start))) await page.evaluate(simplify); // all code has the same colours
  const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
  for (const { id, impact, nodes } of violations) {
    const serious = ["serious", "critical"].includes(impact);
    expect(!serious, `${name}, ${scheme}: axe-core: ${id}, ${nodes.length} times, such as ${nodes[0].target}`);
  }
}

async function checkSearch(page, base) {
  await page.goto(`${base}search.html?q=confusion`);
  await page.waitForSelector("#search-results li a", { timeout: 30_000 });
  expect((await page.$$("#search-results li a")).length > 1, "the search finds too little");
}

const server = await serve(SITE, { "cache-control": "max-age=3600" }); // all pages load mostly the same files
const browser = await openBrowser();
const page = await listeningPage(browser, server.url);
const [part, parts] = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [0, 1];
const pages = pagesOf(SITE);
const mine = [...pages.entries()].filter(([index]) => index % parts === part);
for (const [index, name] of mine) {
  // axe-core is slow: it sees each page once, every second one in dark
  const [first, second] = index % 2 ? SCHEMES : [...SCHEMES].reverse();
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.emulateMedia({ colorScheme: first });
  await page.goto(server.url + name, { waitUntil: "load" });
  await checkContents(page, name);
  await checkLooks(page, name);
  if (!name.startsWith("code/") || WITH_CODE.includes(name)) await checkAccess(page, name, second);
}
if (part === 0) await checkSearch(page, server.url);
await browser.close();
server.close();
for (const fault of faults) console.log(fault);
console.log(`${mine.length} of ${pages.length} pages, ${checks} checks, ${faults.size} faults`);
process.exit(faults.size ? 1 : 0);
