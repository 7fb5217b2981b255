// What the interactive figures share: markup for SVG, controls, and the start on a page.
//
// A figure draws its picture as a string of SVG, so that Node can draw the still picture of a page, too (still.js).
// Controls are the browser's own: ranges, numbers, radio buttons, check boxes. So the keyboard works everywhere.

// --- markup ------------------------------------------------------------------------------------------------

export function escaped(text) {
  return String(text).replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`);
}

/** An SVG element as text. `attributes` may hold numbers; undefined and false are left out. */
export function tag(name, attributes = {}, ...children) {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined && value !== false)
    .map(([key, value]) => ` ${key}="${escaped(typeof value === "number" ? rounded(value) : value)}"`);
  return `<${name}${written.join("")}>${children.flat().join("")}</${name}>`;
}

export function rect(x, y, width, height, attributes = {}, ...children) {
  return tag("rect", { x, y, width, height, ...attributes }, ...children);
}

export function line(x1, y1, x2, y2, attributes = {}) {
  return tag("line", { x1, y1, x2, y2, ...attributes });
}

export function words(x, y, text, attributes = {}) {
  return tag("text", { x, y, ...attributes }, escaped(text));
}

/** A whole picture. Its user unit is one CSS pixel where it is drawn for the width of its place. */
export function svg(width, height, title, ...children) {
  return tag(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      viewBox: `0 0 ${rounded(width)} ${rounded(height)}`,
      role: "img",
      "aria-label": title,
    },
    ...children,
  );
}

export function rounded(number, digits = 2) {
  return Number(number.toFixed(digits));
}

/** A number as a reader writes it: a true minus sign, at most `digits` digits after the point. */
export function written(number, digits = 3) {
  if (number === null || Number.isNaN(number)) return "–";
  return String(rounded(number, digits)).replace("-", "−");
}

export function many(number, word) {
  return `${written(number)} ${word}${number === 1 ? "" : "s"}`;
}

export function numbersTo(end) {
  return Array.from({ length: Math.max(end, 0) }, (_, index) => index);
}

// --- controls ----------------------------------------------------------------------------------------------

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** A slider with its number. Returns: the label, with `set({value, min, max})`. */
export function slider(text, { min, max, value, step = 1, name }, change) {
  const input = element("input", { type: "range", min, max, step, value, name });
  const output = element("output", {}, String(value));
  const label = element("label", { className: "play-slider" }, element("span", {}, text), input, output);
  input.addEventListener("input", () => {
    output.textContent = input.value;
    change(Number(input.value));
  });
  label.set = changes => {
    Object.assign(input, changes);
    output.textContent = input.value;
  };
  return label;
}

/** A field for a whole number or, with a fractional `step`, for any number. Wrong input is put right when it is left. */
export function field(text, { min, max, value, step = 1, name }, change) {
  const input = element("input", {
    type: "number",
    min,
    max,
    step,
    value,
    name,
    inputMode: step < 1 ? "decimal" : "numeric",
  });
  const label = element("label", { className: "play-field" }, element("span", {}, text), input);
  const read = () => {
    const number = step < 1 ? Number(input.value) : Math.round(Number(input.value));
    return Math.min(Math.max(number, min), max);
  };
  input.addEventListener("input", () => input.value !== "" && change(read()));
  input.addEventListener("change", () => {
    input.value = read();
    change(read());
  });
  return label;
}

/** Radio buttons under a legend. options: {value: text}. */
export function choice(legend, options, value, change, name) {
  const set = element("fieldset", { className: "play-choice" }, element("legend", {}, legend));
  for (const [option, text] of Object.entries(options)) {
    const input = element("input", { type: "radio", name, value: option, checked: option === value });
    input.addEventListener("change", () => change(option));
    set.append(element("label", {}, input, element("span", {}, text)));
  }
  set.set = chosen =>
    set.querySelectorAll("input").forEach(input => {
      input.checked = input.value === chosen;
    });
  return set;
}

export function checkbox(text, checked, change, name) {
  const input = element("input", { type: "checkbox", checked, name });
  input.addEventListener("change", () => change(input.checked));
  return element("label", { className: "play-check" }, input, element("span", {}, text));
}

export function button(text, press) {
  const made = element("button", { type: "button" }, text);
  made.addEventListener("click", press);
  return made;
}

export function group(...children) {
  return element("div", { className: "play-group" }, ...children);
}

// --- the start ---------------------------------------------------------------------------------------------

/**
 * Bring the figure NAME to life once its numbers are here. `build(place, data)` gets the figure's place on the page:
 * place.section() adds a part with {controls, picture}; place.say(sentence) tells the current numbers, also to screen
 * readers; place.onWidth(draw) calls draw(width) now and whenever the width changes.
 */
export async function start(name, build) {
  if (typeof document === "undefined") return; // Node draws the still picture
  const figure = document.getElementById(`play-${name}`);
  if (!figure) return;
  const answer = await fetch(new URL(`${name}.json`, import.meta.url));
  if (!answer.ok) return; // the still picture stays
  build(placeIn(figure.querySelector(".play-stage")), await answer.json());
  figure.dataset.ready = "yes";
}

function placeIn(stage) {
  const says = element("p", { className: "play-says" });
  says.setAttribute("role", "status");
  stage.replaceChildren(says);
  return {
    section() {
      const part = {
        controls: element("div", { className: "play-controls" }),
        picture: element("div", { className: "play-picture" }),
      };
      says.before(part.controls, part.picture);
      return part;
    },
    say(sentence) {
      if (says.textContent !== sentence) says.textContent = sentence;
    },
    onWidth(draw) {
      let last = 0;
      const look = () => {
        const width = Math.floor(stage.clientWidth);
        if (width > 0 && width !== last) draw((last = width));
      };
      look();
      new ResizeObserver(look).observe(stage);
    },
  };
}
