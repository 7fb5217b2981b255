// The bar of a live page: its buttons, the progress of loading, and the status.
import { button, element } from "./elements.js";

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}

export function makeBar({ onAll, onInterrupt, onBack }) {
  const all = button("Run all", onAll, { id: "live-all" });
  const stop = button("Interrupt", onInterrupt, { id: "live-interrupt", "aria-disabled": "true" });
  const back = button("Back", onBack, { id: "live-back" });
  back.append(element("span", { className: "live-more" }, " to the recorded page")); // a phone shows one word
  const meter = element("progress", { id: "live-meter", "aria-label": "Python and its packages", hidden: true });
  const counted = element("span", { id: "live-megabytes" }); // changes often: it is not announced
  const status = element("span", { id: "live-status", role: "status" });
  const keys = element("span", {
    id: "live-keys",
    textContent: "Shift+Enter runs a cell. Tab indents; press Escape first to move on with Tab.",
  });
  const buttons = element("div", { className: "live-buttons" }, all, stop, back);
  const box = element(
    "div",
    { id: "live-bar", role: "region", "aria-label": "Run live" },
    buttons,
    element("div", { className: "live-state" }, status, meter, counted),
    keys,
  );
  box.tabIndex = -1; // it gets the focus when it appears

  function loading(bytes) {
    meter.hidden = false;
    meter.max = bytes;
    meter.value = 0;
    status.textContent = "Loading Python …";
    progress(0, bytes);
  }

  function progress(loaded, bytes) {
    meter.value = Math.min(loaded, bytes);
    counted.textContent = `${megabytes(loaded)} of ${megabytes(Math.max(loaded, bytes))} MB`;
  }

  // All is there, and Python imports its packages.
  function loaded() {
    meter.hidden = true;
    counted.textContent = "";
    status.textContent = "Starting Python …";
  }

  // What is being done; the end of it is announced by `say`.
  function running(text) {
    status.textContent = "";
    counted.textContent = text;
  }

  // With `id`, the status leads to the cell with this id.
  function say(text, id) {
    counted.textContent = "";
    status.replaceChildren(id ? element("a", { href: `#${id}`, textContent: text }) : text);
  }

  // aria-disabled, since a disabled button would lose the keyboard's focus. A phone shows one of the two at a time.
  function busy(yes) {
    const [now, other] = yes ? [stop, all] : [all, stop];
    const focused = document.activeElement === other;
    all.setAttribute("aria-disabled", yes);
    stop.setAttribute("aria-disabled", !yes);
    document.body.classList.toggle("live-busy", yes);
    if (focused && !other.offsetParent) now.focus({ preventScroll: true });
  }

  return { box, loading, progress, loaded, running, say, busy, focus: () => box.focus({ preventScroll: true }) };
}
