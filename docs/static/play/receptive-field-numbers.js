// The numbers of the figure of the receptive field: maps, crops, the steps of the way back up, and what an output sees.
import { many, written } from "./play.js";
import { PICTURE, move, upsamplingKernel, walk } from "./geometry.js";

export const OWN = "own"; // a stack of one's own layers

export function begin(data) {
  return {
    network: "FCN-32s",
    image: data.image,
    pad: data.pad,
    row: 8,
    column: 8,
    step: 2,
    own: {
      image: data.own.image,
      layers: data.own.layers.map(([kernel, stride, padding]) => ({ kernel, stride, padding })),
      cell: 2,
    },
  };
}

/** The layers from the picture to the scores and back to pixels. */
export function nodesOf(state, data) {
  if (state.network !== OWN) {
    const [first, ...others] = data.networks[state.network].nodes;
    return [{ ...first, padding: state.pad }, ...others];
  }
  const chain = state.own.layers.map((layer, index) => ({
    ...layer,
    name: `layer ${index + 1}`,
    sources: [index ? `layer ${index}` : "image"],
  }));
  const last = chain.at(-1).name;
  const grid = chain.reduce(move, PICTURE);
  const up = {
    name: "upscore",
    sources: [last],
    kernel: upsamplingKernel(grid),
    stride: grid.stride,
    padding: 0,
    transposed: true,
  };
  return [...chain, up, { name: "crop", sources: ["upscore", "image"], joins: "image" }];
}

/** Everything that is shown: maps, crops, the steps back up, the pixels that the chosen output sees. */
export function numbers(state, data) {
  const own = state.network === OWN;
  const nodes = nodesOf(state, data);
  const pixels = own ? state.own.image : state.image;
  const found = walk(nodes, pixels);
  if (!own && pixels === data.image && state.pad === data.pad) takeOver(found, data.networks[state.network]);
  const scores = own ? `layer ${state.own.layers.length}` : "score_fr";
  const coarse = found.maps[scores];
  const chosen =
    coarse &&
    (own ? [state.own.cell] : [state.row, state.column]).map(cell => seen(coarse, Math.min(cell, coarse.cells - 1)));
  return { own, nodes, pixels, scores, coarse, chosen, steps: stepsOf(nodes, found), ...found };
}

/** The default setting shows what the package computed when the page was built. */
function takeOver(found, network) {
  for (const [name, [cells, size, stride, begins]] of Object.entries(network.maps))
    found.maps[name] = { cells, grid: { size, stride, start: begins } };
  found.crops.forEach((crop, index) => {
    crop.offset = network.crops[index][1];
  });
}

function seen({ grid }, cell) {
  const centre = grid.start + grid.stride * cell;
  const half = (grid.size - 1) / 2;
  return { cell, centre, first: centre - half, last: centre + half };
}

/** The way back up, one sentence for each upsampling and each crop. */
function stepsOf(nodes, { maps, crops }) {
  const steps = [];
  for (const node of nodes) {
    if (node.transposed && maps[node.name]) {
      const [from, to] = [maps[node.sources[0]].grid, maps[node.name].grid];
      const half = (node.kernel - 1) / 2;
      steps.push({
        kind: "up",
        node,
        text:
          `${shown(node.sources[0])} begins at ${written(from.start)}. ${node.name} spreads each of its ` +
          `values over ${node.kernel} finer ones, ${many(to.stride, "pixel")} apart. So ${node.name} begins ${times(half, to.stride)} earlier: at ${written(to.start)}.`,
      });
    }
    const crop = node.joins && crops.find(made => made.name === node.name);
    if (crop) {
      const [cut, other] = [maps[crop.cut].grid, maps[crop.reference].grid];
      const difference = `${written(other.start)} − ${bracketed(cut.start)}`;
      steps.push({
        kind: "crop",
        node,
        crop,
        text:
          `${shown(crop.cut)} begins at ${written(cut.start)}, ${shown(crop.reference)} at ${written(other.start)}. ` +
          `${cut.stride === 1 ? difference : `(${difference}) / ${cut.stride}`} = ${written(crop.offset)}: ${meaning(crop)}`,
      });
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

export function shown(name) {
  return name === "image" ? "the picture" : name;
}
