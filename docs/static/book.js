// A box that scrolls sideways must be reachable with the keyboard.
const SCROLLING = "pre:not([contenteditable]), .cell_output, div.math, .table-wrapper";

function makeReachable() {
  for (const box of document.querySelectorAll(SCROLLING)) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

addEventListener("load", makeReachable);
addEventListener("resize", makeReachable);
document.addEventListener("toggle", makeReachable, true);
