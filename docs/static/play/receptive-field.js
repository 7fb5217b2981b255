// Receptive field and crops: which pixels an output sees, how large every map is, and where 19, 27, 31, 5 and 9 are from.
import { button, choice, escaped, field, group, line, many, numbersTo, rect, slider, start, svg, tag, words, written } from "./play.js";
import { PICTURE, cellsAfter, move, readBy, upsamplingKernel, walk } from "./geometry.js";

const OWN = "own";
const MOST_LAYERS = 5;

// --- the numbers -------------------------------------------------------------------------------------------

export function begin(data) {
  return {
    network: "FCN-32s", image: data.image, pad: data.pad, row: 8, column: 8, step: 2,
    own: { image: data.own.image, layers: data.own.layers.map(([kernel, stride, padding]) => ({ kernel, stride, padding })), cell: 2 },
  };
}

/** The layers from the picture to the scores and back to pixels. */
export function nodesOf(state, data) {
  if (state.network !== OWN) {
    const [first, ...others] = data.networks[state.network].nodes;
    return [{ ...first, padding: state.pad }, ...others];
  }
  const chain = state.own.layers.map((layer, index) => (
    { ...layer, name: `layer ${index + 1}`, sources: [index ? `layer ${index}` : "image"] }));
  const last = chain.at(-1).name, grid = chain.reduce(move, PICTURE);
  const up = { name: "upscore", sources: [last], kernel: upsamplingKernel(grid), stride: grid.stride, padding: 0, transposed: true };
  return [...chain, up, { name: "crop", sources: ["upscore", "image"], joins: "image" }];
}

/** Everything that is shown: maps, crops, the steps back up, the pixels that the chosen output sees. */
export function numbers(state, data) {
  const own = state.network === OWN;
  const nodes = nodesOf(state, data), pixels = own ? state.own.image : state.image;
  const found = walk(nodes, pixels);
  if (!own && pixels === data.image && state.pad === data.pad) takeOver(found, data.networks[state.network]);
  const scores = own ? `layer ${state.own.layers.length}` : "score_fr", coarse = found.maps[scores];
  const chosen = coarse && (own ? [state.own.cell] : [state.row, state.column]).map(cell => seen(coarse, Math.min(cell, coarse.cells - 1)));
  return { own, nodes, pixels, scores, coarse, chosen, steps: stepsOf(nodes, found), ...found };
}

/** The default setting shows what the package computed when the page was built. */
function takeOver(found, network) {
  for (const [name, [cells, size, stride, begins]] of Object.entries(network.maps)) found.maps[name] = { cells, grid: { size, stride, start: begins } };
  found.crops.forEach((crop, index) => { crop.offset = network.crops[index][1]; });
}

function seen({ grid }, cell) {
  const centre = grid.start + grid.stride * cell, half = (grid.size - 1) / 2;
  return { cell, centre, first: centre - half, last: centre + half };
}

/** The way back up, one sentence for each upsampling and each crop. */
function stepsOf(nodes, { maps, crops }) {
  const steps = [];
  for (const node of nodes) {
    if (node.transposed && maps[node.name]) {
      const [from, to] = [maps[node.sources[0]].grid, maps[node.name].grid], half = (node.kernel - 1) / 2;
      steps.push({ kind: "up", node, text: `${shown(node.sources[0])} begins at ${written(from.start)}. ${node.name} spreads each of its ` +
        `values over ${node.kernel} finer ones, ${many(to.stride, "pixel")} apart. So ${node.name} begins ${times(half, to.stride)} earlier: at ${written(to.start)}.` });
    }
    const crop = node.joins && crops.find(made => made.name === node.name);
    if (crop) {
      const [cut, other] = [maps[crop.cut].grid, maps[crop.reference].grid];
      const difference = `${written(other.start)} − ${bracketed(cut.start)}`;
      steps.push({ kind: "crop", node, crop, text: `${shown(crop.cut)} begins at ${written(cut.start)}, ${shown(crop.reference)} at ${written(other.start)}. ` +
        `${cut.stride === 1 ? difference : `(${difference}) / ${cut.stride}`} = ${written(crop.offset)}: ${meaning(crop)}` });
    }
  }
  return steps;
}

function meaning({ offset, cut, reference }) {
  if (offset < 0) return `${shown(cut)} begins too late.`;
  return `the crop of ${shown(cut)} against ${shown(reference)} is ${written(offset)}.`;
}

function times(half, stride) {
  return stride === 1 ? many(half, "pixel") : `${written(half)} · ${stride} = ${many(half * stride, "pixel")}`;
}

function bracketed(number) {
  return number < 0 ? `(${written(number)})` : written(number);
}

function shown(name) {
  return name === "image" ? "the picture" : name;
}

// --- the picture with the field --------------------------------------------------------------------------------

function fieldPicture(state, now, width) {
  const side = Math.min(width, 380), { grid, cells } = now.coarse, [down, across] = now.chosen;
  const last = grid.start + grid.stride * (cells - 1) + (grid.size - 1) / 2;
  const low = Math.min(-state.pad, grid.start - (grid.size - 1) / 2) - 12, high = Math.max(now.pixels + state.pad, last) + 12;
  const unit = side / (high - low), at = pixel => (pixel - low) * unit;
  const places = numbersTo(cells).map(cell => at(grid.start + grid.stride * cell));
  const box = [at(across.first - 0.5), at(down.first - 0.5), grid.size * unit, grid.size * unit];
  return svg(side, side, `The picture, its frame of zeros, the outputs as dots, and the field of one of them`,
    rect(at(-state.pad - 0.5), at(-state.pad - 0.5), (now.pixels + 2 * state.pad) * unit, (now.pixels + 2 * state.pad) * unit, { class: "frame" }),
    tag("g", { transform: `translate(${at(-0.5)} ${at(-0.5)}) scale(${now.pixels * unit / 100})` }, SCENE),
    state.pad * unit > 14 ? words(at(-state.pad) + 5, at(-state.pad) + 13, "padding: zeros", { class: "small" }) : "",
    rect(...box, { class: "field" }),
    places.map(y => places.map(x => tag("circle", { cx: x, cy: y, r: Math.min(1.6, grid.stride * unit / 5), class: "dot" }))),
    tag("circle", { cx: at(across.centre), cy: at(down.centre), r: 4.5, class: "chosen" }),
    words(box[0] + box[2] / 2, Math.max(box[1] - 5, 11), `${grid.size} pixels`, { class: "label", "text-anchor": "middle" }));
}

/** A drawn scene in a square of 100 x 100. */
const SCENE = [
  rect(0, 0, 100, 100, { class: "ground" }),
  tag("circle", { cx: 32, cy: 30, r: 15, class: "thing one" }),
  tag("path", { d: "M32 45 q4 12 -2 22", class: "string" }),
  rect(56, 50, 28, 28, { class: "thing two", transform: "rotate(12 70 64)" }),
  tag("path", { d: "M70 12 l14 24 h-28 z", class: "thing three" }),
].join("");

// --- a stack of one's own, along one axis --------------------------------------------------------------------

function stackPicture(state, now, width) {
  const chain = [{ name: "image", ...now.maps.image }, ...state.own.layers.map((layer, i) => ({ layer, ...now.maps[`layer ${i + 1}`] }))];
  const ranges = rangesBelow(state.own.layers, Math.min(state.own.cell, now.coarse.cells - 1));
  const low = Math.min(-1, ranges[0][0] - 1, -state.own.layers[0].padding - 1);
  const high = Math.max(now.pixels, ranges[0][1] + 1, now.pixels + state.own.layers[0].padding);
  const unit = width / (high - low + 1), row = 50, height = chain.length * row + 6;
  const parts = chain.map((map, level) => {
    const y = height - 26 - level * row, grid = map.grid, cell = Math.min(grid.stride, 2.2) * unit * 0.82;
    const at = index => (grid.start + grid.stride * index - low + 0.5) * unit;
    const [first, last] = ranges[level];
    const label = level ? `layer ${level}: ${many(map.cells, "value")}, ${grid.stride} apart, field ${grid.size}` : many(map.cells, "pixel");
    const indices = numbersTo(last - first + 1).map(i => first + i).filter(i => i < 0 || i >= map.cells);
    const link = level && cone(at(first) - cell / 2, at(last) + cell / 2, y + 20, chain[level - 1], ranges[level - 1], low, unit, y + row);
    return [
      link || "",
      words(0, y - 6, label, { class: "small" }),
      numbersTo(map.cells).map(i => rect(at(i) - cell / 2, y, cell, 20, { class: i < first || i > last ? "cell" : level + 1 < chain.length ? "cell seen" : "cell chosen" })),
      indices.map(i => rect(at(i) - cell / 2, y, cell, 20, { class: "cell zero" })),
    ];
  });
  return svg(width, height, "The maps of the stack along one axis, and what the chosen output sees in each of them", parts);
}

function cone(left, right, y, { grid }, [first, last], low, unit, below) {
  const at = index => (grid.start + grid.stride * index - low + 0.5) * unit, half = Math.min(grid.stride, 2.2) * unit * 0.41;
  return tag("polygon", { class: "cone", points: [[left, y], [right, y], [at(last) + half, below], [at(first) - half, below]].map(point => point.map(n => n.toFixed(1)).join(",")).join(" ") });
}

/** For each map from the picture up: the first and the last value that the chosen output depends on. */
function rangesBelow(layers, cell) {
  const ranges = [[cell, cell]];
  for (const layer of [...layers].reverse()) ranges.unshift(readBy(ranges[0], layer));
  return ranges;
}

// --- one step of the way back up -----------------------------------------------------------------------------

function stepPicture(now, number, width) {
  const { kind, node, crop } = now.steps[number - 1];
  const names = kind === "up" ? [node.sources[0], node.name] : [crop.cut, crop.reference];
  const grids = names.map(name => now.maps[name].grid);
  const starts = grids.map(grid => grid.start), reach = Math.max(...grids.map(grid => grid.stride));
  const low = Math.min(...starts, 0) - Math.max(reach / 2, 6), high = Math.max(...starts, 0) + Math.max(2.2 * reach, 30);
  const unit = width / (high - low), at = pixel => (pixel - low) * unit;
  const rows = grids.map((grid, index) => ruler(names[index], grid, 24 + 62 * index, at, unit, width));
  const [from, to] = [at(Math.min(...starts)), at(Math.max(...starts))];
  const gap = kind === "up" ? many(Math.abs(starts[1] - starts[0]), "pixel") + " earlier" : `crop ${written(crop.offset)}`;
  const middle = Math.min(Math.max((from + to) / 2, 50), width - 50);
  const between = [
    rect(from, 40, Math.max(to - from, 1), 36, { class: kind === "up" ? "reach" : "cut" }),
    words(middle, 63, gap, { class: "label", "text-anchor": "middle" }),
  ];
  return svg(width, 128, now.steps[number - 1].text, between, rows);
}

/** The cells of one map as a row of ticks. */
function ruler(name, grid, y, at, unit, width) {
  const every = Math.max(1, Math.ceil(5 / (grid.stride * unit)));
  const cells = numbersTo(Math.ceil((width / unit) / grid.stride) + 2).filter(cell => cell % every === 0);
  const ticks = cells.map(cell => at(grid.start + grid.stride * cell)).filter(x => x <= width);
  const begins = at(grid.start), right = begins > width * 0.55;
  return tag("g", { class: "ruler" },
    line(begins, y + 16, width, y + 16),
    ticks.map(x => line(x, y + 11, x, y + 21)),
    tag("circle", { cx: begins, cy: y + 16, r: 4.5, class: "chosen" }),
    words(right ? begins + 4 : Math.max(begins - 4, 0), y + (y > 40 ? 36 : 3), `${shown(name)} begins at ${written(grid.start)}`, { "text-anchor": right ? "end" : "start" }));
}

// --- the table -------------------------------------------------------------------------------------------------

function table(now) {
  const names = Object.keys(now.maps).filter(name => !/^conv/.test(name) && name !== "crop");
  const rows = names.map(name => {
    const { cells, grid } = now.maps[name], up = now.nodes.some(node => node.name === name && (node.transposed || node.joins));
    return `<tr data-map="${name}"><th scope="row">${escaped(shown(name))}</th>` +
      [cells, up ? "" : grid.size, written(grid.stride), written(grid.start)].map(value => `<td>${value}</td>`).join("") + "</tr>";
  });
  return `<table class="play-table"><thead><tr><th scope="col">map</th>` +
    `${["values", "field", "stride", "start"].map(word => `<th scope="col">${word}</th>`).join("")}</tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

function sentence(state, now) {
  if (!now.coarse) return `This does not fit. ${now.problem}`;
  const [down, across = down] = now.chosen, { size } = now.coarse.grid;
  const looks = now.own
    ? `Output ${down.cell} sees ${many(size, "pixel")}, from ${written(down.first)} to ${written(down.last)}. Its middle is at ${written(down.centre)}.`
    : `Output (${down.cell}, ${across.cell}) of score_fr sees ${size} × ${size} pixels: rows ${written(down.first)} to ${written(down.last)}, ` +
      `columns ${written(across.first)} to ${written(across.last)}. Its middle is at (${written(down.centre)}, ${written(across.centre)}).`;
  if (now.problem) return `${looks} But the scores do not cover the picture. ${now.problem}`;
  return `${looks} ${now.crops.map(({ cut, offset }) => `The crop of ${cut} is ${written(offset)}.`).join(" ")}`;
}

export function still(data, width) {
  const state = begin(data), now = numbers(state, data);
  return fieldPicture(state, now, width) + stepPicture(now, 2, width);
}

// --- on the page -------------------------------------------------------------------------------------------------

function build(place, data) {
  const state = begin(data), above = place.section(), below = place.section();
  let width = 360;
  const change = (key, object = state) => value => { object[key] = value; draw(); };
  const networks = { ...Object.fromEntries(Object.keys(data.networks).map(name => [name, name])), [OWN]: "own layers" };
  const papers = group(
    slider("picture, pixels", { min: 1, max: 640, value: state.image, name: "image" }, change("image")),
    slider("padding", { min: 0, max: 130, value: state.pad, name: "pad" }, change("pad")));
  const outputs = group();
  const rows = slider("output: row", { min: 0, max: 15, value: state.row, name: "row" }, change("row"));
  const columns = slider("output: column", { min: 0, max: 15, value: state.column, name: "column" }, change("column"));
  outputs.append(rows, columns);
  const own = group(slider("picture, pixels", { min: 1, max: 40, value: state.own.image, name: "own-image" }, change("image", state.own)));
  const cell = slider("output", { min: 0, max: 5, value: state.own.cell, name: "own-cell" }, change("cell", state.own));
  const stack = document.createElement("div");
  stack.className = "play-stack";
  own.append(cell, stack);
  const steps = slider("step of the way back up", { min: 1, max: 2, value: state.step, name: "step" }, change("step"));
  above.controls.append(choice("network", networks, state.network, name => { state.network = name; state.step = 99; draw(); }, "network"), papers, outputs, own);
  below.controls.append(steps);
  layerFields(stack, state.own, () => draw());

  above.picture.addEventListener("click", event => {
    const box = event.target.closest("svg")?.getBoundingClientRect(), now = numbers(state, data);
    if (!box || now.own || !now.coarse) return;
    const dots = [...above.picture.querySelectorAll("circle.dot")].map(dot => dot.getBoundingClientRect());
    const distance = dot => Math.hypot(dot.x + dot.width / 2 - event.clientX, dot.y + dot.height / 2 - event.clientY);
    const nearest = dots.reduce((best, dot, index) => distance(dot) < distance(dots[best]) ? index : best, 0);
    [state.row, state.column] = [Math.floor(nearest / now.coarse.cells), nearest % now.coarse.cells];
    draw();
  });

  function draw() {
    const now = numbers(state, data), cells = now.coarse?.cells ?? 1;
    papers.hidden = outputs.hidden = now.own;
    own.hidden = !now.own;
    for (const [part, key, object] of [[rows, "row", state], [columns, "column", state], [cell, "cell", state.own]]) {
      if (now.own === (object === state.own)) part.set({ max: cells - 1, value: (object[key] = Math.min(object[key], cells - 1)) });
    }
    state.step = Math.min(state.step, Math.max(now.steps.length, 1));
    steps.set({ max: Math.max(now.steps.length, 1), value: state.step });
    steps.hidden = below.picture.hidden = !now.steps.length;
    const left = !now.coarse ? "" : now.own ? stackPicture(state, now, width) : fieldPicture(state, now, width);
    above.picture.className = `play-picture ${now.own ? "" : "play-pair"}`;
    above.picture.innerHTML = left + table(now);
    if (now.steps.length) below.picture.innerHTML = stepPicture(now, state.step, width) + `<p class="play-step">${escaped(now.steps[state.step - 1].text)}</p>`;
    place.say(sentence(state, now));
  }
  place.onWidth(found => { width = found; draw(); });
}

/** A row of fields for each layer of the own stack, and buttons that add and remove one. */
function layerFields(stack, own, draw) {
  const rows = own.layers.map((layer, index) => {
    const set = key => value => { layer[key] = value; draw(); };
    const row = document.createElement("fieldset");
    row.className = "play-layer";
    row.innerHTML = `<legend>layer ${index + 1}</legend>`;
    row.append(
      field("kernel", { min: 1, max: 9, value: layer.kernel, name: `kernel-${index + 1}` }, set("kernel")),
      field("stride", { min: 1, max: 4, value: layer.stride, name: `stride-${index + 1}` }, set("stride")),
      field("padding", { min: 0, max: 9, value: layer.padding, name: `padding-${index + 1}` }, set("padding")));
    return row;
  });
  const renew = change => () => { change(); layerFields(stack, own, draw); draw(); };
  const add = button("add a layer", renew(() => own.layers.push({ kernel: 3, stride: 1, padding: 1 })));
  const remove = button("remove the last", renew(() => own.layers.pop()));
  add.disabled = own.layers.length >= MOST_LAYERS;
  remove.disabled = own.layers.length <= 1;
  stack.replaceChildren(...rows, group(add, remove));
}

start("receptive-field", build);
