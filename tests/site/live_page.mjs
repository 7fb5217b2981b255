// node live_page.mjs isolated|plain: what a reader does on a live page of lesson 7. On an isolated page Python can be
// interrupted and keeps its names. On a plain page, as most servers send it, it has to be started again.
import { readFileSync } from "node:fs";
import path from "node:path";
import { SITE, checkAccessible, expect, finish, open, serve, status } from "./live_browser.mjs";

const STEM = "lesson_07_shift_and_stitch";
const ADDRESS = `lessons/${STEM}.html`;
const EXERCISES = JSON.parse(readFileSync(path.join(SITE, `_static/live/exercises/${STEM}.json`), "utf8"));

// The lesson counts as a long one, so that it waits for the reader; and exercises are given little time.
function change(config) {
  config.lessons[STEM].seconds = 400;
  config.limit = 6;
}

// Earlier edits are offered before Python has loaded. Loading takes long, so this does not wait for it.
const OFFERED = /^Loading|Python is ready/;

const isolated = process.argv[2] === "isolated";
const base = await serve(isolated);
const wide = { colorScheme: "light" };
const narrow = { colorScheme: "dark", viewport: { width: 390, height: 844 } };
const page = await open(base, ADDRESS, { config: change, ...(isolated ? wide : narrow) });
expect("isolated as served", (await page.evaluate(() => self.crossOriginIsolated)) === isolated);
await page.waitForSelector("#live:not([hidden])"); // the note on a long lesson has arrived
const recordedText = await recorded(page);

const parts = { starts, editsAndErrors, interrupts, answersExercises, keys, isAccessible, staysInOneLine, goesBack };
if (isolated) {
  delete parts.staysInOneLine; // this part needs the narrow page of a phone
  parts.reloads = reloads; // once is enough
}
for (const [name, part] of Object.entries(parts)) {
  const start = performance.now();
  await part(page);
  console.log(`${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
}
await finish();

// The text of the page, without the interactive figures: these load on their own.
function recorded(page) {
  return page.evaluate(() => {
    const article = document.querySelector("article").cloneNode(true);
    for (const figure of article.querySelectorAll("figure.play")) figure.remove();
    return article.textContent;
  });
}

function cell(page, number) {
  const box = page.locator("div.cell").filter({ has: page.locator(".cell_input") }).nth(number - 1);
  return {
    code: box.locator("textarea"),
    run: box.locator(".live-tools button"),
    output: box.locator(".live-output"),
    error: box.locator(".live-error > p"),
    details: box.locator(".live-error details"),
    where: box.locator(".live-where"),
    numbers: box.locator(".live-numbers"),
    state: box.locator(".live-cell-state"),
  };
}

async function runCode(page, number, code) {
  const { code: editor } = cell(page, number);
  await editor.fill(code);
  await editor.press("Shift+Enter");
}

async function starts(page) {
  const note = await page.textContent(".live-note");
  expect("a long lesson says how long it takes before it is started", note.includes("7 min"), note);
  expect("and how much is loaded", /^Loads 2\d MB the first time/.test(note), note);
  expect("the exercises say how they are answered here", await page.isVisible(".live-hint"));
  await page.click("#live");
  await page.waitForFunction(() => /^\d+\.\d of 2\d\.\d MB$/.test(document.querySelector("#live-megabytes")?.textContent));
  await status(page, /Python is ready/);
  if (!isolated) await fitsOneLine(page);
  expect("the status is one for screen readers", (await page.getAttribute("#live-status", "role")) === "status");
  expect("a long lesson does not run by itself", (await page.locator(".live-output img, .live-output li").count()) === 0);
  await cell(page, 2).run.click();
  const done = await status(page, /cells have run/);
  expect("a cell runs those before it first", /^2 of \d+ cells have run/.test(done), done);
  expect("its output is that of the lesson", (await cell(page, 2).output.textContent()).includes("[3 4 4 5 9]"));
}

async function editsAndErrors(page) {
  const code = await cell(page, 2).code.inputValue();
  const first = await cell(page, 1).code.inputValue();
  await cell(page, 1).code.fill(`${first}\n`);
  const [changed, old] = await Promise.all([1, 2].map((number) => cell(page, number).state.textContent()));
  expect("a changed cell says so", changed === "You have changed this cell. Press Run to see its new output.", changed);
  expect("the next says why it may be old", /^Cell 1 above has changed.*Press Run all to renew it\.$/.test(old), old);
  await cell(page, 1).code.fill(first);
  await runCode(page, 2, code.replace("3, 1, 4, 1, 5, 9", "3, 1, 4, 1, 5, 2"));
  await page.waitForFunction(() => document.querySelector(".live-done .live-output pre")?.textContent.includes("[3 4 4 5 5]"));
  await runCode(page, 2, code.replace("interlaced[1::2] = pool(row[1:])", "interlaced[1::2] = pool(row[:4])"));
  const broken = await status(page, /does not hold/);
  expect("the claim that does not hold is named", broken.includes("interlaced: the maximum of every two neighbours"), broken);
  await runCode(page, 2, "a = 1\nb = a / 0");
  const said = await status(page, /ZeroDivisionError/);
  expect("an error names cell and line", said === "Cell 2, line 2: ZeroDivisionError: division by zero", said);
  expect("and quotes the line", (await cell(page, 2).where.textContent()) === "Line 2: b = a / 0");
  expect("which has its number", (await cell(page, 2).numbers.textContent()) === "1\n2");
  const mend = await cell(page, 2).state.textContent();
  expect("the cell says what to do", mend === "This cell stopped with an error. Mend it, then press Run.", mend);
  expect("its last line comes first", (await cell(page, 2).error.textContent()) === "ZeroDivisionError: division by zero");
  expect("the traceback is folded", (await cell(page, 2).details.getAttribute("open")) === null);
  expect("and complete", (await cell(page, 2).details.textContent()).includes("b = a / 0"));
  await runCode(page, 2, "c = (1,\n  2 2)");
  expect("what is no Python is named", (await status(page, /SyntaxError/)).startsWith("Cell 2, line 2"));
  await runCode(page, 2, code);
  await status(page, /^2 of/);
}

async function interrupts(page) {
  await runCode(page, 2, "kept = 5\nwhile True: pass");
  await page.waitForFunction(() => document.querySelector("#live-megabytes").textContent.startsWith("Running cell 2"));
  await page.waitForTimeout(1000); // let the loop begin
  await page.click("#live-interrupt");
  await status(page, isolated ? /^Interrupted\. The variables are kept/ : /^Interrupted\. .*variables are lost/);
  await runCode(page, 2, "print('kept' in globals())");
  await status(page, /^2 of/);
  expect("the variables", (await cell(page, 2).output.textContent()).trim() === (isolated ? "True" : "False"));
}

async function answersExercises(page) {
  const box = page.locator(".live-exercise").first();
  const check = async (answer) => {
    if (answer !== null) await box.locator("textarea").fill(answer);
    await box.locator(".live-output").evaluate((output) => output.replaceChildren());
    await box.locator("button").click();
    await box.locator(".live-verdict").waitFor({ timeout: 600_000 });
    await page.waitForSelector("#live-all[aria-disabled=false]", { timeout: 600_000 });
    return box.locator(".live-output").textContent();
  };
  const untouched = await check(null);
  expect("the stub is not right", untouched.includes("is still the stub"), untouched);
  const right = await check(EXERCISES[0].solution);
  expect("our solution is right", right.includes("Exercise 7.1 is right."), right);
  const wrong = await check("def passes(row, k):\n    return [], []");
  expect("a wrong answer: what it should be", wrong.includes("not right yet") && wrong.includes("should have 2 values"), wrong);
  const known = await check(EXERCISES[0].solution.replace(/interlaced = .*/, "interlaced = sum(outputs, [])"));
  expect("a known mistake: a hint", known.includes("Hint: "), known);
  const failing = await check("def passes(row, k):\n    return row[100]");
  expect("an error in the answer: its line", failing.includes("exercise_7_1.py, line 2") || failing.includes("line 2"), failing);
  const endless = await check("def passes(row, k):\n    while True: pass");
  expect("an endless loop is stopped", /Stopped after 6 s/.test(endless) && endless.includes("loop run for ever"), endless);
  if (isolated) expect("and its line is named", endless.includes("line 2"), endless);
}

async function keys(page) {
  const editor = cell(page, 1).code;
  const before = await editor.inputValue();
  await editor.focus();
  await page.keyboard.press("Control+End");
  await page.keyboard.type("\nfor i in x:");
  await page.keyboard.press("Enter");
  await page.keyboard.type("pass");
  await page.keyboard.press("Tab");
  const typed = await editor.inputValue();
  expect("Enter keeps the indent, Tab indents", typed === `${before}\nfor i in x:\n    pass    `, JSON.stringify(typed.slice(-30)));
  for (let i = 0; i < 60 && (await editor.inputValue()) !== before; i++) await page.keyboard.press("Control+z");
  expect("Control+Z takes it back", (await editor.inputValue()) === before);
  await page.keyboard.press("Escape");
  const stops = [];
  for (let i = 0; i < 3; i++) {
    await page.keyboard.press("Tab");
    stops.push(await page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.title));
  }
  expect("after Escape, Tab leads on to the cell's button", stops.includes("Run cell 1"), `${stops}`);
}

function isAccessible(page) {
  return checkAccessible(page, process.argv[2]);
}

async function goesBack(page) {
  await page.click("#live-back"); // asks nothing, since the browser keeps the edits
  expect("the recorded page is back", (await recorded(page)) === recordedText);
  expect("nothing live is left", (await page.locator("textarea, .live-output, #live-bar").count()) === 0);
  expect("what was recorded is shown", (await page.locator(".cell_output[hidden]").count()) === 0);
  expect("and it can be run again", await page.isVisible("#live"));
}

async function reloads(page) {
  await page.evaluate(() => localStorage.clear()); // edits of the parts before
  await page.click("#live");
  await status(page, /Python is ready/);
  await runCode(page, 1, "print('changed')");
  await status(page, /^1 of/);
  let asked = "";
  page.once("dialog", (dialog) => {
    asked = dialog.type();
    dialog.accept();
  });
  await page.reload();
  expect("the browser asks before it leaves edits", asked === "beforeunload", asked);
  expect("a reload shows the recorded page", (await page.locator(".live-output").count()) === 0);
  await page.click("#live");
  await status(page, OFFERED);
  const lessons = await cell(page, 1).code.inputValue();
  expect("and starts with the lesson's code", !lessons.includes("changed"));
  const said = await page.textContent("#live-kept p");
  expect("the edits are offered", said.includes("cell 1") && !said.includes("cell 2"), said);
  await page.click("#live-kept button:has-text('Put my edits back')");
  expect("and put back", (await cell(page, 1).code.inputValue()) === "print('changed')");
  expect("which ends the choice", (await page.locator("#live-kept").count()) === 0);
  await page.reload();
  await page.click("#live");
  await page.click("#live-kept button:has-text('Delete my edits')");
  expect("or are deleted", (await cell(page, 1).code.inputValue()) === lessons);
  await page.reload();
  await page.click("#live");
  await status(page, OFFERED);
  expect("for good", (await page.locator("#live-kept").count()) === 0);
}

async function staysInOneLine(page) {
  await fitsOneLine(page);
  await runCode(page, 2, "a = 1\nb = a / 0");
  await status(page, /ZeroDivisionError/);
  await fitsOneLine(page);
  expect("with one button for Python", !(await page.isVisible("#live-interrupt")) && (await page.isVisible("#live-all")));
}

async function fitsOneLine(page) {
  const height = await page.locator("#live-bar").evaluate((bar) => bar.offsetHeight);
  expect("on a phone the bar is one line", height < 60, `${height} px`);
}
