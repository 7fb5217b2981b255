// What every check of the site in a browser uses: a server on localhost, and a browser that reaches nothing else.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { createRequire } from "node:module";

export const ROOT = path.resolve(import.meta.dirname, "../..");
export const SITE = path.join(ROOT, "site");
const require = createRequire(path.join(ROOT, "build/site/package.json")); // where `make site` installs its packages

const TYPES = {
  css: "text/css",
  html: "text/html; charset=utf-8",
  js: "text/javascript",
  json: "application/json",
  mjs: "text/javascript",
  pdf: "application/pdf",
  png: "image/png",
  svg: "image/svg+xml",
  wasm: "application/wasm", // a browser does not start WebAssembly that is sent as something else
  woff2: "font/woff2",
};

/** Serve a folder. `headers` are sent with every file. Returns: {url, close}. */
export async function serve(folder = SITE, headers = {}) {
  const server = http.createServer((request, response) => {
    const name = decodeURIComponent(new URL(request.url, "http://localhost").pathname).replace(/\/$/, "/index.html");
    fs.readFile(path.join(folder, path.normalize(name)), (error, data) => {
      const type = TYPES[path.extname(name).slice(1)] ?? "application/octet-stream";
      response.writeHead(error ? 404 : 200, { "content-type": type, ...headers });
      response.end(data);
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://localhost:${server.address().port}/`, close: () => server.close() };
}

/** Debian's Chromium, or the one that CHROMIUM names. Every address but localhost is unknown to it. */
export function openBrowser() {
  const { chromium } = require("playwright-core");
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--no-first-run",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
    ],
  });
}

/** The source of axe-core, to be evaluated in a page. */
export function axeSource() {
  return fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
}
