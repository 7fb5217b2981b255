// A box that scrolls sideways must be reachable with the keyboard, and must show that there is more.
const SCROLLING = "pre:not([contenteditable]), .cell_output, div.math, .table-wrapper";
const HINT = "Scroll sideways to see the rest, or tap the figure to open it in full size.";

function look(box) {
  if (!box.clientWidth) return; // it is not shown
  const hidden = box.scrollWidth - box.clientWidth;
  if (hidden > 0) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
  box.classList.toggle("more-left", box.scrollLeft > 1);
  box.classList.toggle("more-right", box.scrollLeft < hidden - 1);
  hint(box, hidden > 0);
}

// A sentence above the first figure that scrolls; one is enough.
function hint(box, scrolls) {
  const mine = box.previousElementSibling?.classList.contains("scroll-hint") ? box.previousElementSibling : null;
  if (mine && !scrolls) mine.remove();
  if (mine || !scrolls || !box.querySelector("img") || document.querySelector(".scroll-hint")) return;
  const said = document.createElement("p");
  said.className = "scroll-hint";
  said.textContent = HINT;
  box.before(said);
}

function lookAtAll() {
  for (const box of document.querySelectorAll(SCROLLING)) look(box);
}

addEventListener("load", lookAtAll);
addEventListener("resize", lookAtAll);
document.addEventListener("load", ({ target }) => target.closest?.(".cell_output") && lookAtAll(), true); // a figure
document.addEventListener("toggle", lookAtAll, true);
document.addEventListener("scroll", ({ target }) => target.matches?.(SCROLLING) && look(target), true);
