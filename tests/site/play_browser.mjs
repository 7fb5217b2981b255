// node play_browser.mjs < script.json: operate the figures of a page in a browser, and write down what they show.
//
// script: {url, browser, width, scheme, javascript, axe, steps: [[action, selector, ...]]}
// Writes {readings, messages}: a reading for each step that reads, and everything that went wrong on the page.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const script = JSON.parse(fs.readFileSync(0, "utf8"));
const require = createRequire(path.join(path.resolve(process.env.SITE_MODULES), "package.json"));
const { chromium } = require("playwright-core");

const browser = await chromium.launch({
  executablePath: script.browser,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ],
});
const context = await browser.newContext({
  viewport: { width: script.width ?? 1280, height: 900 },
  colorScheme: script.scheme ?? "light",
  javaScriptEnabled: script.javascript ?? true,
});
const page = await context.newPage();
const messages = [];
const readings = [];
page.on("pageerror", error => messages.push(error.message));
page.on("console", message => message.type() === "error" && messages.push(message.text()));
page.on(
  "request",
  request =>
    /^(data:|blob:)/.test(request.url()) ||
    request.url().startsWith(new URL("/", script.url).href) ||
    messages.push(`foreign: ${request.url()}`),
);

const actions = {
  ready: selector => page.waitForSelector(`${selector}[data-ready]`),
  check: selector => page.locator(selector).check(),
  uncheck: selector => page.locator(selector).uncheck(),
  fill: (selector, value) => page.locator(selector).fill(String(value)),
  click: selector => page.locator(selector).click(),
  press: async (selector, key, times = 1) => {
    await page.locator(selector).focus();
    for (let i = 0; i < times; i += 1) await page.keyboard.press(key);
  },
  keys: async keys => {
    for (const key of keys) await page.keyboard.press(key);
  },
  drag: async (selector, ...places) => {
    // places: [across, down], as parts of the element's size
    const { x, y, width, height } = await page.locator(selector).boundingBox();
    const at = ([across, down]) => [x + across * width, y + down * height];
    await page.mouse.move(...at(places[0]));
    await page.mouse.down();
    for (const place of places.slice(1)) await page.mouse.move(...at(place), { steps: 24 });
    await page.mouse.up();
  },
};
const reads = {
  text: selector => page.locator(selector).innerText(),
  texts: selector => page.locator(selector).allInnerTexts(),
  attributes: (selector, name) =>
    page.locator(selector).evaluateAll((found, name) => found.map(element => element.getAttribute(name)), name),
  styles: (selector, name) =>
    page
      .locator(selector)
      .evaluateAll((found, name) => found.map(element => element.style.getPropertyValue(name)), name),
  visible: selector => page.locator(selector).isVisible(),
  table: selector =>
    page
      .locator(`${selector} tbody tr`)
      .evaluateAll(rows => rows.map(row => [...row.cells].map(cell => cell.textContent))),
  widths: () => page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]),
  smallest: selector =>
    page
      .locator(selector)
      .evaluateAll(found =>
        Math.min(
          ...found.map(
            text => parseFloat(getComputedStyle(text).fontSize) * (text.ownerSVGElement?.getScreenCTM().a ?? 1),
          ),
        ),
      ),
  // the words that a line crosses, or that other words overlap
  crossed: selector =>
    page.locator(`${selector} svg`).evaluateAll(pictures =>
      pictures.flatMap(picture => {
        const words = [...picture.querySelectorAll("text")].map(text => ({ text, box: text.getBoundingClientRect() }));
        const points = [...picture.querySelectorAll("line")].flatMap(line =>
          Array.from({ length: 41 }, (_, i) => {
            const at = line.getPointAtLength((i / 40) * line.getTotalLength());
            return at.matrixTransform(line.getScreenCTM());
          }),
        );
        const meets = ({ text, box }) =>
          box.width > 0 &&
          (points.some(p => p.x > box.left && p.x < box.right && p.y > box.top + 2 && p.y < box.bottom - 2) ||
            words.some(
              other =>
                other.text !== text &&
                Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left) > 1 &&
                Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top) > 4,
            ));
        return words.filter(meets).map(({ text }) => text.textContent);
      }),
    ),
  axe: async () => {
    await page.evaluate(fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
    const { violations } = await page.evaluate(() => axe.run());
    return violations.map(({ id, impact, nodes }) => `${id} (${impact}): ${nodes.map(node => node.target).join(" ")}`);
  },
};

await page.goto(script.url);
for (const [name, ...rest] of script.steps) {
  if (name in reads) readings.push(await reads[name](...rest));
  else await actions[name](...rest);
}
await browser.close();
process.stdout.write(JSON.stringify({ readings, messages }));
