// A headless browser for the tests of "Run live", and a server of the built site. Nothing but the server can be reached.
import { readFile } from "node:fs/promises";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";

const ROOT = path.resolve(import.meta.dirname, "../..");
export const SITE = path.resolve(process.env.FCN_SITE ?? path.join(ROOT, "site"));
const MODULES = path.resolve(process.env.FCN_SITE_MODULES ?? path.join(ROOT, "build/site/node_modules"));
const require = createRequire(path.join(MODULES, "live_browser.cjs"));
const { chromium } = require("playwright-core");
const axeSource = await readFile(require.resolve("axe-core/axe.min.js"), "utf8");

const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
const TYPES = {
  ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
  ".png": "image/png", ".json": "application/json", ".woff2": "font/woff2",
  // .wasm is left out on purpose: live-worker.js must not depend on what a server sends for it
};

const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"];
export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [...args, "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost"],
});

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
  const server = http.createServer(async (request, answer) => {
    const file = path.join(SITE, decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    const headers = { ...(isolated ? ISOLATED : {}), "content-type": TYPES[path.extname(file)] ?? "application/octet-stream" };
    try {
      const data = await readFile(file);
      answer.writeHead(200, headers).end(data);
    } catch {
      answer.writeHead(404, headers).end();
    }
  });
  await new Promise((listening) => server.listen(0, "localhost", listening));
  return `http://localhost:${server.address().port}/`;
}

// A page that reports foreign requests, missing files, and errors of its scripts.
export async function open(base, address, { config, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
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
  await page.evaluate(axeSource);
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
    const text = document.querySelector("#live-status")?.textContent ?? "";
    return new RegExp(source, flags).test(text) ? text : null;
  };
  const found = await page.waitForFunction(fits, [pattern.source, pattern.flags], { timeout: seconds * 1000, polling: 50 });
  return found.jsonValue();
}
