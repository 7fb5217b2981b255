// Shift-and-stitch, pass by pass: what a pass sees, and where its outputs land. Every number was computed beforehand.
import { button, choice, group, line, many, numbersTo, rect, slider, start, svg, tag, words } from "./play.js";

const ROOMY = 36; // pixels of a cell; in a narrower picture an arrow would cross the word below an output

export function begin() {
  return { view: "row", form: "drop", f: 2, pass: 0 };
}

/** The passes of a setting, the current one, and the fine map so far: {value, pass} or null at each place. */
export function numbers(state, data) {
  const { passes, stitched } = data.passes[state.view][state.form][state.f];
  const filled = stitched.map(row => row.map(() => null));
  passes.slice(0, state.pass + 1).forEach((pass, index) =>
    pass.places.forEach((row, i) =>
      row.forEach((place, j) => {
        if (place) filled[place[0]][place[1]] = { value: pass.outputs[i][j], pass: index };
      }),
    ),
  );
  return { passes, now: passes[state.pass], filled, stitched };
}

function hue(pass, count) {
  return Math.round((205 + (360 * pass) / count) % 360);
}

function cell(x, y, unit, text, kind, colour) {
  const style = colour === undefined ? undefined : `--h: ${colour}`;
  return tag(
    "g",
    { class: `pixel ${kind}`, style, "data-value": text },
    rect(x + 1, y + 1, unit - 2, unit - 2, { rx: 2 }),
    words(x + unit / 2, y + unit / 2 + 5, text, { "text-anchor": "middle" }),
  );
}

/** A place of the fine map: empty, filled by an earlier pass, or by this one. */
function fineCell(place, x, y, unit, state, count) {
  if (!place) return cell(x, y, unit, "", "empty");
  return cell(x, y, unit, place.value, place.pass === state.pass ? "output" : "earlier", hue(place.pass, count));
}

// --- a row -------------------------------------------------------------------------------------------------

function rowPicture(state, data, width) {
  const { passes, now, filled } = numbers(state, data);
  const picture = data.row;
  const { f } = state;
  const shift = now.right;
  const drop = state.form === "drop";
  const unit = Math.min(width / (picture.length + 3), 48);
  const colour = hue(state.pass, passes.length);
  const [top, seen, out, fine] = [22, 22 + unit + 50, 22 + 2 * unit + 84, 22 + 3 * unit + 160];
  const label = (y, text) => words(0, y - 8, text, { class: "small" });
  const places = now.places[0];
  const windows = now.outputs[0].map((_, j) =>
    rect(f * j * unit + 0.5, seen - 1.5, f * unit - 1, unit + 3, { class: "window", style: `--h: ${colour}`, rx: 3 }),
  );
  return svg(
    width,
    fine + unit + 42,
    "The picture, what this pass sees of it, its outputs, and the fine map",
    label(top, "picture"),
    picture.map((value, x) => cell(x * unit, top, unit, value, drop && x < shift ? "gone" : "")),
    label(
      seen - 17,
      shift === 0
        ? "pass 0 sees all of it"
        : drop
          ? `pass ${state.pass} sees it without ${many(shift, "pixel")}`
          : `pass ${state.pass} sees it moved right by ${shift}`,
    ),
    label(seen, "the largest number of each window is an output"),
    now.seen[0].map((value, x) => cell(x * unit, seen, unit, value, !drop && x < shift ? "zero" : "")),
    windows,
    now.outputs[0].map((_, j) =>
      line((f * j + f / 2) * unit, seen + unit + 2, (f * j + 0.5) * unit, out, {
        class: "thread",
        style: `--h: ${colour}`,
      }),
    ),
    places.map(
      (place, j) => place && arrow((f * j + 0.5) * unit, out + unit, (place[1] + 0.5) * unit, fine - 2, colour),
    ),
    now.outputs[0].map((value, j) =>
      cell(f * j * unit, out, unit, value, places[j] ? "output" : "output lost", colour),
    ),
    places.map((place, j) =>
      place || unit < ROOMY ? "" : words(f * j * unit, out + unit + 18, "discarded", { class: "small" }),
    ),
    words(0, fine + unit + 36, "fine map, with the number of each place", { class: "small" }),
    filled[0].map((_, x) => words((x + 0.5) * unit, fine + unit + 15, x, { class: "small", "text-anchor": "middle" })),
    tag(
      "g",
      { class: "fine" },
      filled[0].map((place, x) => fineCell(place, x * unit, fine, unit, state, passes.length)),
    ),
  );
}

function arrow(x1, y1, x2, y2, colour) {
  return tag(
    "g",
    { class: "arrow", style: `--h: ${colour}` },
    line(x1, y1 + 1, x2, y2 - 6),
    tag("polygon", { points: `${x2 - 4},${y2 - 8} ${x2 + 4},${y2 - 8} ${x2},${y2}` }),
  );
}

// --- a small picture ---------------------------------------------------------------------------------------

function gridPicture(state, data, width) {
  const { passes, now, filled } = numbers(state, data);
  const { f } = state;
  const { down, right } = now;
  const drop = state.form === "drop";
  const colour = hue(state.pass, passes.length);
  const whole = data.picture;
  const shown = drop ? whole : now.seen;
  const tall = whole.length + (drop ? 0 : f - 1);
  const wide = whole[0].length + (drop ? 0 : f - 1);
  const [h, w] = [now.outputs.length, now.outputs[0].length];
  const most = Math.ceil(wide / f);
  const beside = width > 600;
  const unit = Math.min(28, beside ? (width - 60) / (wide + most + filled[0].length) : width / wide);
  const origins = beside
    ? [
        [0, 22],
        [wide * unit + 30, 22],
        [(wide + most) * unit + 60, 22],
      ]
    : [
        [0, 22],
        [0, 22 + tall * unit + 34],
        [0, 22 + (tall + Math.ceil(tall / f)) * unit + 68],
      ];
  const label = ([x, y], text) => words(x, y - 8, text, { class: "small" });
  const grid = ([x, y], rows, draw) =>
    rows.map((row, i) => row.map((value, j) => draw(value, i, j, x + j * unit, y + i * unit)));
  const gone = (i, j) => drop && (i < down || j < right);
  const zero = (i, j) => !drop && (i < down || j < right);
  const [x0, y0] = origins[0];
  const [a, b] = drop ? [down, right] : [0, 0];
  const windows = now.outputs.map((row, i) =>
    row.map((_, j) =>
      rect(x0 + (b + f * j) * unit + 0.5, y0 + (a + f * i) * unit + 0.5, f * unit - 1, f * unit - 1, {
        class: "window",
        style: `--h: ${colour}`,
        rx: 3,
      }),
    ),
  );
  const height = beside ? 22 + tall * unit + 6 : origins[2][1] + filled.length * unit + 6;
  return svg(
    width,
    height,
    "What this pass sees of the picture, its outputs, and the fine map",
    label(origins[0], `pass ${state.pass}: ${moved(state, now)}`),
    grid(origins[0], shown, (value, i, j, x, y) =>
      cell(x, y, unit, value, gone(i, j) ? "gone" : zero(i, j) ? "zero" : ""),
    ),
    windows,
    label(origins[1], `${h} × ${w} outputs`),
    grid(origins[1], now.outputs, (value, i, j, x, y) =>
      cell(x, y, unit, value, now.places[i][j] ? "output" : "output lost", colour),
    ),
    label(origins[2], "fine map"),
    tag(
      "g",
      { class: "fine" },
      grid(origins[2], filled, (place, i, j, x, y) => fineCell(place, x, y, unit, state, passes.length)).flat(),
    ),
  );
}

// --- words -------------------------------------------------------------------------------------------------

function moved({ form, view }, { down, right }) {
  if (view === "row")
    return right === 0
      ? "nothing is moved"
      : form === "drop"
        ? `drops ${right === 1 ? "the first pixel" : `the first ${right} pixels`}`
        : `moves the picture right by ${right}`;
  if (down + right === 0) return "the whole picture";
  return form === "drop"
    ? `drops ${many(down, "row")}, ${many(right, "column")}`
    : `moves down ${down}, right ${right}`;
}

function sentence(state, data) {
  const { passes, now, filled } = numbers(state, data);
  const all = filled.flat();
  const done = all.filter(Boolean).length;
  const lost = now.places.flat().filter(place => !place).length;
  return (
    `Pass ${state.pass} of 0 to ${passes.length - 1}: ${moved(state, now)}. ${rule(state, now)} ` +
    (lost ? `${many(lost, "output")} saw the zeros and ${lost === 1 ? "is" : "are"} discarded. ` : "") +
    `${done} of ${all.length} places are filled.`
  );
}

/** Where the outputs of a pass land. */
function rule({ form, f, view }, { down, right, places }) {
  const at = (index, shift) => `${f}${index}${shift ? ` ${form === "drop" ? "+" : "−"} ${shift}` : ""}`;
  if (view === "picture") return `Output (i, j) lands at row ${at("i", down)}, column ${at("j", right)}.`;
  const landed = places[0].filter(Boolean).map(place => place[1]);
  return `Output j lands at place ${at("j", right)}: places ${landed.join(", ")}.`;
}

function picture(state, data, width) {
  return state.view === "row" ? rowPicture(state, data, width) : gridPicture(state, data, width);
}

export function still(data, width) {
  return picture({ ...begin(), pass: 1 }, data, width);
}

// --- on the page -------------------------------------------------------------------------------------------

function build(place, data) {
  const state = begin();
  const { controls, picture: area } = place.section();
  let width = 360;
  const change = key => value => {
    state[key] = value;
    if (key !== "form") state.pass = 0; // both forms have the same passes
    draw();
  };
  const go = by => () => {
    state.pass += by;
    draw();
  };
  const [back, next] = [button("previous pass", go(-1)), button("next pass", go(1))];
  const pass = slider("pass", { min: 0, max: 1, value: 0, name: "pass" }, value => {
    state.pass = value;
    draw();
  });
  controls.append(
    group(
      choice("show", { row: "a row", picture: "a small picture" }, state.view, change("view"), "view"),
      choice(
        "direction",
        { drop: "drop pixels", shift: "move right and down (the paper)" },
        state.form,
        change("form"),
        "form",
      ),
    ),
    group(slider("stride f", { min: 2, max: 4, value: state.f, name: "f" }, change("f")), pass),
    group(back, next),
  );
  function draw() {
    const { passes } = numbers(state, data);
    pass.set({ max: passes.length - 1, value: state.pass });
    const focused = document.activeElement;
    back.disabled = state.pass === 0;
    next.disabled = state.pass === passes.length - 1;
    if (focused === next && next.disabled) back.focus(); // a disabled button would lose the focus
    if (focused === back && back.disabled) next.focus();
    area.innerHTML = picture(state, data, width);
    place.say(sentence(state, data));
  }
  place.onWidth(found => {
    width = found;
    draw();
  });
}

start("shift-and-stitch", build);
