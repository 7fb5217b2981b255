// The pictures of the figure of the receptive field: the field over the picture, a stack of one's own layers, one step
// of the way back up, and the table of all maps.
import { escaped, line, many, numbersTo, rect, svg, tag, words, written } from "./play.js";
import { readBy } from "./geometry.js";
import { shown } from "./receptive-field-numbers.js";

// --- the picture with the field --------------------------------------------------------------------------------

export function fieldPicture(state, now, width) {
  const side = Math.min(width, 380);
  const { grid, cells } = now.coarse;
  const [down, across] = now.chosen;
  const last = grid.start + grid.stride * (cells - 1) + (grid.size - 1) / 2;
  const low = Math.min(-state.pad, grid.start - (grid.size - 1) / 2) - 12;
  const high = Math.max(now.pixels + state.pad, last) + 12;
  const unit = side / (high - low);
  const at = pixel => (pixel - low) * unit;
  const places = numbersTo(cells).map(cell => at(grid.start + grid.stride * cell));
  const box = [at(across.first - 0.5), at(down.first - 0.5), grid.size * unit, grid.size * unit];
  return svg(
    side,
    side,
    `The picture, its frame of zeros, the outputs as dots, and the field of one of them`,
    rect(
      at(-state.pad - 0.5),
      at(-state.pad - 0.5),
      (now.pixels + 2 * state.pad) * unit,
      (now.pixels + 2 * state.pad) * unit,
      { class: "frame" },
    ),
    tag("g", { transform: `translate(${at(-0.5)} ${at(-0.5)}) scale(${(now.pixels * unit) / 100})` }, SCENE),
    state.pad * unit > 14 ? words(at(-state.pad) + 5, at(-state.pad) + 13, "padding: zeros", { class: "small" }) : "",
    rect(...box, { class: "field" }),
    places.map(y =>
      places.map(x => tag("circle", { cx: x, cy: y, r: Math.min(1.6, (grid.stride * unit) / 5), class: "dot" })),
    ),
    tag("circle", { cx: at(across.centre), cy: at(down.centre), r: 4.5, class: "chosen" }),
    words(box[0] + box[2] / 2, Math.max(box[1] - 5, 11), `${grid.size} pixels`, {
      class: "label",
      "text-anchor": "middle",
    }),
  );
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

export function stackPicture(state, now, width) {
  const chain = [
    { name: "image", ...now.maps.image },
    ...state.own.layers.map((layer, i) => ({ layer, ...now.maps[`layer ${i + 1}`] })),
  ];
  const ranges = rangesBelow(state.own.layers, Math.min(state.own.cell, now.coarse.cells - 1));
  const low = Math.min(-1, ranges[0][0] - 1, -state.own.layers[0].padding - 1);
  const high = Math.max(now.pixels, ranges[0][1] + 1, now.pixels + state.own.layers[0].padding);
  const unit = width / (high - low + 1);
  const row = 50;
  const height = chain.length * row + 6;
  const parts = chain.map((map, level) => {
    const y = height - 26 - level * row;
    const grid = map.grid;
    const cell = Math.min(grid.stride, 2.2) * unit * 0.82;
    const at = index => (grid.start + grid.stride * index - low + 0.5) * unit;
    const [first, last] = ranges[level];
    const label = level
      ? `layer ${level}: ${many(map.cells, "value")}, ${grid.stride} apart, field ${grid.size}`
      : many(map.cells, "pixel");
    const indices = numbersTo(last - first + 1)
      .map(i => first + i)
      .filter(i => i < 0 || i >= map.cells);
    const link =
      level &&
      cone(at(first) - cell / 2, at(last) + cell / 2, y + 20, chain[level - 1], ranges[level - 1], low, unit, y + row);
    return [
      link || "",
      words(0, y - 6, label, { class: "small" }),
      numbersTo(map.cells).map(i =>
        rect(at(i) - cell / 2, y, cell, 20, {
          class: i < first || i > last ? "cell" : level + 1 < chain.length ? "cell seen" : "cell chosen",
        }),
      ),
      indices.map(i => rect(at(i) - cell / 2, y, cell, 20, { class: "cell zero" })),
    ];
  });
  return svg(
    width,
    height,
    "The maps of the stack along one axis, and what the chosen output sees in each of them",
    parts,
  );
}

function cone(left, right, y, { grid }, [first, last], low, unit, below) {
  const at = index => (grid.start + grid.stride * index - low + 0.5) * unit;
  const half = Math.min(grid.stride, 2.2) * unit * 0.41;
  return tag("polygon", {
    class: "cone",
    points: [
      [left, y],
      [right, y],
      [at(last) + half, below],
      [at(first) - half, below],
    ]
      .map(point => point.map(n => n.toFixed(1)).join(","))
      .join(" "),
  });
}

/** For each map from the picture up: the first and the last value that the chosen output depends on. */
function rangesBelow(layers, cell) {
  const ranges = [[cell, cell]];
  for (const layer of [...layers].reverse()) ranges.unshift(readBy(ranges[0], layer));
  return ranges;
}

// --- one step of the way back up -----------------------------------------------------------------------------

export function stepPicture(now, number, width) {
  const { kind, node, crop } = now.steps[number - 1];
  const names = kind === "up" ? [node.sources[0], node.name] : [crop.cut, crop.reference];
  const grids = names.map(name => now.maps[name].grid);
  const starts = grids.map(grid => grid.start);
  const reach = Math.max(...grids.map(grid => grid.stride));
  const low = Math.min(...starts, 0) - Math.max(reach / 2, 6);
  const high = Math.max(...starts, 0) + Math.max(2.2 * reach, 30);
  const unit = width / (high - low);
  const at = pixel => (pixel - low) * unit;
  const rows = grids.map((grid, index) => ruler(names[index], grid, 24 + 62 * index, at, unit, width));
  const [from, to] = [at(Math.min(...starts)), at(Math.max(...starts))];
  const gap =
    kind === "up" ? many(Math.abs(starts[1] - starts[0]), "pixel") + " earlier" : `crop ${written(crop.offset)}`;
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
  const cells = numbersTo(Math.ceil(width / unit / grid.stride) + 2).filter(cell => cell % every === 0);
  const ticks = cells.map(cell => at(grid.start + grid.stride * cell)).filter(x => x <= width);
  const begins = at(grid.start);
  const right = begins > width * 0.55;
  return tag(
    "g",
    { class: "ruler" },
    line(begins, y + 16, width, y + 16),
    ticks.map(x => line(x, y + 11, x, y + 21)),
    tag("circle", { cx: begins, cy: y + 16, r: 4.5, class: "chosen" }),
    words(
      right ? begins + 4 : Math.max(begins - 4, 0),
      y + (y > 40 ? 36 : 3),
      `${shown(name)} begins at ${written(grid.start)}`,
      { "text-anchor": right ? "end" : "start" },
    ),
  );
}

// --- the table -------------------------------------------------------------------------------------------------

export function table(now) {
  const names = Object.keys(now.maps).filter(name => !/^conv/.test(name) && name !== "crop");
  const rows = names.map(name => {
    const { cells, grid } = now.maps[name];
    const up = now.nodes.some(node => node.name === name && (node.transposed || node.joins));
    return (
      `<tr data-map="${name}"><th scope="row">${escaped(shown(name))}</th>` +
      [cells, up ? "" : grid.size, written(grid.stride), written(grid.start)]
        .map(value => `<td>${value}</td>`)
        .join("") +
      "</tr>"
    );
  });
  return (
    `<table class="play-table"><thead><tr><th scope="col">map</th>` +
    `${["values", "field", "stride", "start"].map(word => `<th scope="col">${word}</th>`).join("")}</tr></thead><tbody>${rows.join("")}</tbody></table>`
  );
}
