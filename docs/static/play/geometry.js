// Where the cells of a map lie over the picture, and how many there are: the rules of the package's geometry room
// (fields.py, sizes.py) for square kernels without dilation. tests/site/test_play.py holds the two equal.
//
// A grid is {size, stride, start}: the receptive field, the distance of two cells, and the centre of cell 0, in pixels.
// All strides are powers of two or whole numbers, so every number here is exact.

export const PICTURE = { size: 1, stride: 1, start: 0 };

/** The grid after one layer {kernel, stride, padding, transposed}. */
export function move(grid, { kernel, stride, padding, transposed }) {
  const centre = (kernel - 1) / 2 - padding;
  if (!transposed) {
    return {
      size: grid.size + (kernel - 1) * grid.stride,
      stride: grid.stride * stride,
      start: grid.start + centre * grid.stride,
    };
  }
  const finer = grid.stride / stride;
  return {
    size: grid.size + (Math.ceil(kernel / stride) - 1) * grid.stride,
    stride: finer,
    start: grid.start - centre * finer,
  };
}

/**
 * How many cells a map has after one layer; 0 or less if no window fits. `ceil` rounds up: the last window of a pool may
 * be partial. The pools here have no padding and a kernel as large as their stride, so it always begins inside the map.
 */
export function cellsAfter(cells, { kernel, stride, padding, transposed, ceil }) {
  if (transposed) return stride * (cells - 1) + kernel - 2 * padding;
  const room = cells + 2 * padding - kernel;
  return (ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
}

/** How many cells of `grid` lie before cell 0 of the reference. Negative: the reference begins first. */
export function cropOffset(grid, reference) {
  return (reference.start - grid.start) / grid.stride;
}

/** The grid of two maps of one stride after the earlier one is cropped. */
export function overlap(one, other) {
  return { size: Math.max(one.size, other.size), stride: one.stride, start: Math.max(one.start, other.start) };
}

/** Which cells of the map before are read by the cells first to last. Those below 0 or beyond the end are padding. */
export function readBy([first, last], { kernel, stride, padding }) {
  return [first * stride - padding, last * stride - padding + kernel - 1];
}

/** The kernel with which one upsampling brings a grid back to pixels: 2s, or 2s − 1 where the cells lie on pixels. */
export function upsamplingKernel(grid) {
  return 2 * grid.stride - (Number.isInteger(grid.start) ? 1 : 0);
}

/**
 * All maps of a network for a picture of `pixels` along one side. nodes: layers as above with {name, sources}, or crops
 * {name, sources: [a, b], joins: "skip" | "image"}, where a skip crops b to a, and the last crop a to the picture.
 * Returns: {maps: {name: {cells, grid}}, crops: [{name, cut, reference, offset}], problem: a sentence, or null}.
 */
export function walk(nodes, pixels) {
  const maps = { image: { cells: pixels, grid: PICTURE } };
  const crops = [];
  for (const node of nodes) {
    const before = maps[node.sources[0]];
    if (node.joins) {
      const [cut, reference] = node.joins === "skip" ? [...node.sources].reverse() : node.sources;
      const offset = cropOffset(maps[cut].grid, maps[reference].grid);
      crops.push({ name: node.name, cut, reference, offset });
      const cells = joined(node.joins, maps[cut].cells, maps[reference].cells, offset);
      if (cells === null) return { maps, crops, problem: uncovered(cut, reference, maps, offset) };
      maps[node.name] = { cells, grid: overlap(maps[cut].grid, maps[reference].grid) };
    } else {
      const cells = cellsAfter(before.cells, node);
      if (cells < 1)
        return { maps, crops, problem: `${node.name} has no window left: its input has ${before.cells} cells.` };
      maps[node.name] = { cells, grid: move(before.grid, node) };
    }
  }
  return { maps, crops, problem: null };
}

/** The cells of two joined maps, or null if the one does not cover the other. */
function joined(joins, have, wanted, offset) {
  if (joins === "skip" && offset === 0) return Math.min(have, wanted);
  if (joins === "skip" && offset < 0) [have, wanted, offset] = [wanted, have, -offset];
  return offset < 0 || have < offset + wanted ? null : wanted;
}

function uncovered(cut, reference, maps, offset) {
  const whole = reference === "image" ? "the picture" : reference;
  if (offset < 0)
    return `${cut} begins ${-offset} ${offset === -1 ? "pixel" : "pixels"} after ${whole}, and a crop cannot add any.`;
  const [have, wanted] = [maps[cut].cells, maps[reference].cells];
  return `${cut} is too small: it has ${have} cells, but ${whole} needs ${wanted} of them from number ${offset} on.`;
}
