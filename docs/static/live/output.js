// What running code prints and draws, in its place below the code.
import { element } from "./elements.js";

const CLAIM = "  ok  "; // how fcn_from_scratch.course.check begins the line of a claim that holds
const MOST = 2000; // lines of one cell; more would only slow the page down

export function makeOutput(label) {
  const box = element("div", { className: "cell_output live-output", role: "group", "aria-label": label });
  let lines = 0;
  let addresses = [];

  function clear() {
    addresses.forEach(URL.revokeObjectURL);
    addresses = [];
    lines = 0;
    box.replaceChildren();
  }

  function last(tag, className) {
    const place = box.lastElementChild;
    if (place?.tagName === tag.toUpperCase() && place.className === className) return place;
    const made = element(tag, { className });
    if (tag === "pre") made.tabIndex = 0; // it may scroll
    box.append(made);
    return made;
  }

  // Returns whether the line is a claim that holds.
  function line(text, stream) {
    const claim = stream === "stdout" && text.startsWith(CLAIM);
    lines += 1;
    if (claim) last("ul", "claims").append(element("li", {}, element("p", { textContent: text.slice(CLAIM.length) })));
    else if (lines < MOST) last("pre", stream === "stderr" ? "live-stderr" : "live-stdout").append(`${text}\n`);
    else if (lines === MOST) last("pre", "live-stdout").append("… further lines are not shown.\n");
    return claim;
  }

  function figure(png, alt) {
    const src = URL.createObjectURL(new Blob([png], { type: "image/png" }));
    addresses.push(src);
    const whole = { className: "full-size", href: src, target: "_blank", title: "Opens the figure in full size" };
    box.append(element("a", whole, element("img", { src, alt })));
  }

  // The box at the end of a lesson: each claim, and the reason for its tolerance.
  function claims(rows) {
    const items = rows.map(([claim, reason]) => element("li", {}, `${claim} `, element("small", { textContent: reason })));
    const head = `In short: ${rows.length} of the claims above, each with the reason for its tolerance.`;
    box.append(element("p", { textContent: head }), element("ul", { className: "claims-box" }, ...items));
  }

  // The last line of an error says what is wrong: it comes first. Then the line of the cell; the way there is folded.
  function error({ error: lastLine, line: number, traceback }, code) {
    const block = element("div", { className: "live-error" }, element("p", { textContent: lastLine }));
    if (number && code?.trim()) {
      block.append(element("div", { className: "live-where" }, `Line ${number}: `, element("code", {}, code.trim())));
    }
    if (traceback) {
      const pre = element("pre", { textContent: traceback, tabIndex: 0 });
      block.append(element("details", {}, element("summary", { textContent: "Traceback" }), pre));
    }
    box.append(block);
  }

  function note(text) {
    box.append(element("p", { className: "live-note", textContent: text }));
  }

  return { box, clear, line, figure, claims, error, note };
}
