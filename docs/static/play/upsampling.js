// Transposed convolution of a row: the same sum as ops.conv_transpose2d along one axis. tests/site/test_play.py holds
// the two equal.

/** y[s*i + a - p] += x[i] * kernel[a] */
export function spread(row, kernel, stride, padding) {
  const out = new Array(Math.max(stride * (row.length - 1) + kernel.length - 2 * padding, 0)).fill(0);
  row.forEach((value, i) =>
    kernel.forEach((tap, a) => {
      const place = stride * i + a - padding;
      if (place >= 0 && place < out.length) out[place] += value * tap;
    }),
  );
  return out;
}
