// What the reader has changed, kept in the browser's own storage: a reload or a closed tab does not lose it. A page starts
// with the lesson's code all the same. It then offers to put the edits back.
//
// A part of the page is a cell or an exercise: { name, original, text(), put(text) }.
import { button, element } from "./elements.js";

export function makeEdits(lesson, parts) {
  const key = `fcn_from_scratch edits of ${lesson}`;

  // name -> { original, text }. A browser may have no storage, or refuse it.
  function kept() {
    try {
      return JSON.parse(localStorage.getItem(key)) ?? {};
    } catch {
      return {};
    }
  }

  // Returns whether the browser has kept it.
  function write(entries) {
    try {
      if (Object.keys(entries).length) localStorage.setItem(key, JSON.stringify(entries));
      else localStorage.removeItem(key);
      return true;
    } catch {
      return false;
    }
  }

  // Earlier edits of other parts stay. A part that has its first text again is no longer kept.
  function keep(part) {
    const entries = kept();
    if (part.text() === part.original) delete entries[part.name];
    else entries[part.name] = { original: part.original, text: part.text() };
    return write(entries);
  }

  // The parts with an earlier edit. An edit of code that the lesson no longer has cannot be put back.
  function found() {
    const entries = kept();
    return parts.filter(({ name, original }) => entries[name]?.original === original);
  }

  function putBack() {
    const entries = kept();
    for (const part of found()) part.put(entries[part.name].text);
  }

  // Before the browser leaves the page, it asks whether the reader wants that.
  function warn(event) {
    if (parts.some((part) => part.text() !== part.original)) event.preventDefault();
  }

  addEventListener("beforeunload", warn);
  const close = () => removeEventListener("beforeunload", warn);
  return { keep, found, putBack, forget: () => write({}), close };
}

// The choice between the lesson's code and the edits of an earlier visit. Null if there are none.
export function makeChoice(edits, onEnd) {
  const names = edits.found().map(({ name }) => name);
  if (!names.length) return null;
  const end = (said) => {
    box.remove();
    onEnd(said);
  };
  const back = button("Put my edits back", () => {
    edits.putBack();
    end("Your edits are back. Press Run all to run them.");
  });
  const away = button("Delete my edits", () => {
    edits.forget();
    end("Your edits are deleted. The page has the lesson's code.");
  });
  const said = `The page starts with the lesson's code. Your edits of an earlier visit are kept: ${names.join(", ")}.`;
  const box = element("div", { id: "live-kept", role: "region", "aria-label": "Your edits" }, element("p", {}, said));
  box.append(element("div", { className: "live-buttons" }, back, away));
  return box;
}
