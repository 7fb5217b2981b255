// A link to a word of the glossary shows the word's meaning in place, when it is pointed at or has the keyboard's focus.
// Escape hides it. It stays while the pointer is on it. Without this script the link leads to the glossary, as it does
// with it.
(() => {
  const WORDS = "a[data-meaning]";
  const WAIT = 200; // ms, in which the pointer may cross from the word to its meaning
  const box = document.createElement("div");
  let word = null;
  let hiding = null;

  Object.assign(box, { id: "meaning", className: "meaning", hidden: true });
  box.setAttribute("role", "tooltip");
  document.body.append(box);

  function show(link) {
    clearTimeout(hiding);
    if (link === word) return;
    hide();
    if (!link.dataset.meaning) return;
    word = link;
    word.setAttribute("aria-describedby", box.id);
    box.textContent = link.dataset.meaning;
    box.hidden = false;
    place();
  }

  // Below the word, or above it where there is no room; inside the window.
  function place() {
    const at = word.getBoundingClientRect();
    const own = box.getBoundingClientRect();
    const below = at.bottom + own.height + 12 < innerHeight;
    const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - own.width - 8));
    box.style.top = `${scrollY + (below ? at.bottom + 6 : at.top - own.height - 6)}px`;
    box.style.left = `${scrollX + left}px`;
  }

  function hide() {
    clearTimeout(hiding);
    word?.removeAttribute("aria-describedby");
    word = null;
    box.hidden = true;
  }

  function hideSoon() {
    clearTimeout(hiding);
    hiding = setTimeout(hide, WAIT);
  }

  function wordAt({ target }) {
    return target.closest?.(WORDS) ?? null;
  }

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return; // a tap follows the link
    if (wordAt(event)) show(wordAt(event));
    else if (box.contains(event.target)) clearTimeout(hiding);
    else if (word && document.activeElement !== word) hideSoon();
  });
  document.addEventListener("focusin", (event) => (wordAt(event) ? show(wordAt(event)) : hide()));
  document.addEventListener("focusout", (event) => wordAt(event) && hideSoon());
  document.addEventListener("keydown", ({ key }) => key === "Escape" && hide());
  addEventListener("scroll", () => word && place(), true);
  addEventListener("resize", hide);
})();
