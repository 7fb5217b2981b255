// Receptive field and crops: which pixels an output sees, how large every map is, and how 19, 27, 31, 5 and 9 arise.
import { button, choice, escaped, field, group, many, slider, start, written } from "./play.js";
import { OWN, begin, numbers } from "./receptive-field-numbers.js";
import { fieldPicture, stackPicture, stepPicture, table } from "./receptive-field-pictures.js";

const MOST_LAYERS = 5;

function sentence(state, now) {
  if (!now.coarse) return `This does not fit. ${now.problem}`;
  const looks = now.own ? seenOnOneAxis(now) : seenOnBothAxes(now);
  if (now.problem) return `${looks} But the scores do not cover the picture. ${now.problem}`;
  return `${looks} ${now.crops.map(({ cut, offset }) => `The crop of ${cut} is ${written(offset)}.`).join(" ")}`;
}

function seenOnOneAxis({ coarse, chosen: [{ cell, first, last, centre }] }) {
  const pixels = `${many(coarse.grid.size, "pixel")}, from ${written(first)} to ${written(last)}`;
  return `Output ${cell} sees ${pixels}. Its middle is at ${written(centre)}.`;
}

function seenOnBothAxes({ coarse, chosen: [down, across] }) {
  const range = ({ first, last }) => `${written(first)} to ${written(last)}`;
  const { size } = coarse.grid;
  return (
    `Output (${down.cell}, ${across.cell}) of score_fr sees ${size} × ${size} pixels: ` +
    `rows ${range(down)}, columns ${range(across)}. ` +
    `Its middle is at (${written(down.centre)}, ${written(across.centre)}).`
  );
}

export function still(data, width) {
  const state = begin(data);
  const now = numbers(state, data);
  return fieldPicture(state, now, width) + stepPicture(now, 2, width);
}

// --- on the page -------------------------------------------------------------------------------------------------

function build(place, data) {
  const state = begin(data);
  const above = place.section();
  const below = place.section();
  let width = 360;
  const change =
    (key, object = state) =>
    value => {
      object[key] = value;
      draw();
    };
  const networks = { ...Object.fromEntries(Object.keys(data.networks).map(name => [name, name])), [OWN]: "own layers" };
  const papers = group(
    slider("picture, pixels", { min: 1, max: 640, value: state.image, name: "image" }, change("image")),
    slider("padding", { min: 0, max: 130, value: state.pad, name: "pad" }, change("pad")),
  );
  const outputs = group();
  const rows = slider("output row", { min: 0, max: 15, value: state.row, name: "row" }, change("row"));
  const columns = slider("output column", { min: 0, max: 15, value: state.column, name: "column" }, change("column"));
  outputs.append(rows, columns);
  const own = group(
    slider(
      "picture, pixels",
      { min: 1, max: 40, value: state.own.image, name: "own-image" },
      change("image", state.own),
    ),
  );
  const cell = slider("output", { min: 0, max: 5, value: state.own.cell, name: "own-cell" }, change("cell", state.own));
  const stack = document.createElement("div");
  stack.className = "play-stack";
  own.append(cell, stack);
  const steps = slider("step of the way back up", { min: 1, max: 2, value: state.step, name: "step" }, change("step"));
  above.controls.append(
    choice(
      "network",
      networks,
      state.network,
      name => {
        state.network = name;
        state.step = 99;
        draw();
      },
      "network",
    ),
    papers,
    outputs,
    own,
  );
  below.controls.append(steps);
  layerFields(stack, state.own, () => draw());

  above.picture.addEventListener("click", event => {
    const box = event.target.closest("svg")?.getBoundingClientRect();
    const now = numbers(state, data);
    if (!box || now.own || !now.coarse) return;
    const dots = [...above.picture.querySelectorAll("circle.dot")].map(dot => dot.getBoundingClientRect());
    const distance = dot => Math.hypot(dot.x + dot.width / 2 - event.clientX, dot.y + dot.height / 2 - event.clientY);
    const nearest = dots.reduce((best, dot, index) => (distance(dot) < distance(dots[best]) ? index : best), 0);
    [state.row, state.column] = [Math.floor(nearest / now.coarse.cells), nearest % now.coarse.cells];
    draw();
  });

  function draw() {
    const now = numbers(state, data);
    const cells = now.coarse?.cells ?? 1;
    papers.hidden = outputs.hidden = now.own;
    own.hidden = !now.own;
    for (const [part, key, object] of [
      [rows, "row", state],
      [columns, "column", state],
      [cell, "cell", state.own],
    ]) {
      if (now.own === (object === state.own))
        part.set({ max: cells - 1, value: (object[key] = Math.min(object[key], cells - 1)) });
    }
    state.step = Math.min(state.step, Math.max(now.steps.length, 1));
    steps.set({ max: Math.max(now.steps.length, 1), value: state.step });
    steps.hidden = below.picture.hidden = !now.steps.length;
    const left = !now.coarse ? "" : now.own ? stackPicture(state, now, width) : fieldPicture(state, now, width);
    above.picture.className = `play-picture ${now.own ? "" : "play-pair"}`;
    above.picture.innerHTML = left + table(now);
    if (now.steps.length)
      below.picture.innerHTML =
        stepPicture(now, state.step, width) + `<p class="play-step">${escaped(now.steps[state.step - 1].text)}</p>`;
    place.say(sentence(state, now));
  }
  place.onWidth(found => {
    width = found;
    draw();
  });
}

/** A row of fields for each layer of the own stack, and buttons that add and remove one. */
function layerFields(stack, own, draw) {
  const rows = own.layers.map((layer, index) => {
    const set = key => value => {
      layer[key] = value;
      draw();
    };
    const row = document.createElement("fieldset");
    row.className = "play-layer";
    row.innerHTML = `<legend>layer ${index + 1}</legend>`;
    row.append(
      field("kernel", { min: 1, max: 9, value: layer.kernel, name: `kernel-${index + 1}` }, set("kernel")),
      field("stride", { min: 1, max: 4, value: layer.stride, name: `stride-${index + 1}` }, set("stride")),
      field("padding", { min: 0, max: 9, value: layer.padding, name: `padding-${index + 1}` }, set("padding")),
    );
    return row;
  });
  const renew = change => () => {
    change();
    layerFields(stack, own, draw);
    draw();
  };
  const add = button(
    "add a layer",
    renew(() => own.layers.push({ kernel: 3, stride: 1, padding: 1 })),
  );
  const remove = button(
    "remove the last",
    renew(() => own.layers.pop()),
  );
  add.disabled = own.layers.length >= MOST_LAYERS;
  remove.disabled = own.layers.length <= 1;
  stack.replaceChildren(...rows, group(add, remove));
}

start("receptive-field", build);
