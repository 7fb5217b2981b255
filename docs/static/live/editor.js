// A plain editor for Python: a <textarea> with transparent text over the page's coloured <pre>. The browser gives undo,
// selection, spoken text and the keyboards of phones; this file adds the colours, Tab, and lines that keep their indent.
//
// CodeMirror was weighed. Without a bundler it is 13 modules of together 1 MB, and a page has thirty cells.
import { element } from "./elements.js";
import { highlight } from "./highlight.js";

const INDENT = "    ";
const SHARED = ["fontFamily", "fontSize", "fontWeight", "lineHeight", "letterSpacing", "padding", "tabSize"];

// Turns `pre` into an editor. Returns { text(), put(text), close() }; close puts the page's own element back.
export function makeEditor(pre, { label, describedBy, onChange, onRun }) {
  const recorded = [...pre.childNodes].map((node) => node.cloneNode(true));
  const textarea = element("textarea", {
    value: pre.textContent.replace(/\n+$/, ""),
    className: "live-text",
    spellcheck: false,
    wrap: "off",
    autocomplete: "off", // a reload starts with the text of the lesson
    autocapitalize: "off",
    autocorrect: "off",
    "aria-label": label,
    "aria-describedby": describedBy,
  });
  const numbers = element("div", { className: "live-numbers", "aria-hidden": "true" }); // errors name lines by them
  const box = element("div", { className: "live-editor" });
  pre.replaceWith(box);
  box.append(numbers, pre, textarea);
  pre.inert = true; // it is only the picture of the text

  function fit() {
    const style = getComputedStyle(pre);
    for (const name of SHARED) textarea.style[name] = style[name];
    for (const name of SHARED.filter((name) => name !== "padding")) numbers.style[name] = style[name];
    numbers.style.paddingTop = style.paddingTop;
  }

  function number() {
    numbers.textContent = textarea.value.split("\n").map((_, line) => line + 1).join("\n");
  }

  function draw() {
    highlight(pre, `${textarea.value}\n`);
    number();
    pre.scrollLeft = textarea.scrollLeft;
  }

  function changed() {
    draw();
    onChange();
  }

  function put(text) {
    textarea.value = text;
    changed();
  }

  fit();
  number();
  addEventListener("resize", fit);
  textarea.addEventListener("scroll", () => (pre.scrollLeft = textarea.scrollLeft));
  textarea.addEventListener("input", changed);
  addKeys(textarea, onRun);

  function close() {
    removeEventListener("resize", fit);
    pre.replaceChildren(...recorded);
    pre.inert = false;
    box.replaceWith(pre);
  }

  return { close, put, text: () => textarea.value };
}

// Tab indents and Shift+Tab takes an indent away. After Escape, Tab moves on to the next control, as everywhere else.
function addKeys(textarea, onRun) {
  let leaving = false;
  textarea.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (event.key === "Tab" && plain && !leaving) {
      event.preventDefault();
      if (event.shiftKey) shiftLines(textarea, (line) => line.replace(/^ {1,4}/, ""));
      else if (selectedLines(textarea).includes("\n")) shiftLines(textarea, (line) => (line ? INDENT + line : line));
      else insert(textarea, INDENT);
    } else if (event.key === "Enter" && (event.shiftKey || event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      onRun();
    } else if (event.key === "Enter" && plain) {
      event.preventDefault();
      insert(textarea, `\n${indentAfter(textarea)}`);
    }
    if (event.key !== "Shift") leaving = event.key === "Escape";
  });
}

// execCommand keeps the browser's undo, unlike an assignment to `value`.
function insert(textarea, text) {
  if (text === "" ? document.execCommand("delete") : document.execCommand("insertText", false, text)) return;
  textarea.setRangeText(text, textarea.selectionStart, textarea.selectionEnd, "end");
  textarea.dispatchEvent(new Event("input"));
}

function indentAfter({ value, selectionStart }) {
  const line = value.slice(value.lastIndexOf("\n", selectionStart - 1) + 1, selectionStart);
  return line.match(/^ */)[0] + (/:\s*(#.*)?$/.test(line) ? INDENT : "");
}

function lineRange({ value, selectionStart, selectionEnd }) {
  const start = value.lastIndexOf("\n", selectionStart - 1) + 1;
  const end = value.indexOf("\n", selectionEnd);
  return [start, end < 0 ? value.length : end];
}

function selectedLines(textarea) {
  return textarea.value.slice(textarea.selectionStart, textarea.selectionEnd);
}

function shiftLines(textarea, change) {
  const [start, end] = lineRange(textarea);
  const lines = textarea.value.slice(start, end).split("\n").map(change).join("\n");
  if (lines === textarea.value.slice(start, end)) return;
  textarea.setSelectionRange(start, end);
  insert(textarea, lines);
  textarea.setSelectionRange(start, start + lines.length);
}
