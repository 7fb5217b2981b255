// Winograd's F(4, 3): the transforms around the 36 products that stand for a 3x3 convolution at stride 1, or for one of
// its gradients.
//
//   tile of y = A^T ((G w G^T) * (B^T d B)) A        d: 6 x 6 pixels, the tile of y: 4 x 4; summed over channels inside
//   dw = G^T (sum over tiles of (A dy A^T) * (B^T d B)) G
//
// The gradient with respect to x is the convolution of dy with the turned kernel, its channels exchanged.
// engine/winograd_transforms.py derives the matrices; here they are, written out. The 36 places (a, b) of a transformed
// tile are numbered 6b + a, columns first, as on the CPU.
//
// Memory: x (N, H, W, C), y, dy (N, oh, ow, F), channels last; weight, dweight (F, C, 3, 3);
//         tiles (36, T, C), products (36, T, F), gradients (36, F, T), T = N * rows * columns tiles: those of the tile
//         rows first .. first + rows - 1 of every image; kernel (36, C, F), or (36, F, C) of the kernel turned;
//         dkernel (36, F, C).
// Who reads what: one thread has one tile of one channel, or the taps of one pair of channels, and keeps them in
// registers. Neighbours write runs of memory. They read runs too where they have neighbouring channels of a tile, but
// not where they have neighbouring tiles of a channel (gradients) or turn the order of channels round (kernel). It is
// for the 36 GEMMs between the transforms that these arrays lie as they do: products[q] = tiles[q] kernel[q], and
// dkernel[q] = gradients[q] tiles[q]. cuBLAS does them in one batched call, and no factor has to be transposed first.
#include "common.cuh"

// B^T along one axis: six numbers `step` apart, in place.
__device__ void transform_input(REAL* d, int step) {
  const REAL d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
  d[0] = 4 * d0 - 5 * d2 + d4;
  d[step] = (d4 - 4 * d2) + (d3 - 4 * d1);
  d[2 * step] = (d4 - 4 * d2) - (d3 - 4 * d1);
  d[3 * step] = (d4 - d2) + 2 * (d3 - d1);
  d[4 * step] = (d4 - d2) - 2 * (d3 - d1);
  d[5 * step] = 4 * d1 - 5 * d3 + d5;
}

// G along one axis: three numbers become six.
__device__ void transform_kernel(const REAL* w, int from, REAL* u, int to) {
  const REAL w0 = w[0], w1 = w[from], w2 = w[2 * from];
  u[0] = w0 / 4;
  u[to] = -(w0 + w2 + w1) / 6;
  u[2 * to] = -(w0 + w2 - w1) / 6;
  u[3 * to] = (w0 + 4 * w2 + 2 * w1) / 24;
  u[4 * to] = (w0 + 4 * w2 - 2 * w1) / 24;
  u[5 * to] = w2;
}

// G^T along one axis: six numbers become three.
__device__ void transform_kernel_adjoint(const REAL* u, int from, REAL* w, int to) {
  const REAL ones = (u[from] + u[2 * from]) / 6, twos = (u[3 * from] + u[4 * from]) / 6;
  w[0] = u[0] / 4 - ones + twos / 4;
  w[to] = (u[2 * from] - u[from]) / 6 + (u[3 * from] - u[4 * from]) / 12;
  w[2 * to] = twos - ones + u[5 * from];
}

// A^T along one axis: six numbers become four, the first four places.
__device__ void transform_output(REAL* m, int step) {
  const REAL m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step], m5 = m[5 * step];
  m[0] = m0 + (m1 + m2) + (m3 + m4);
  m[step] = (m1 - m2) + 2 * (m3 - m4);
  m[2 * step] = (m1 + m2) + 4 * (m3 + m4);
  m[3 * step] = (m1 - m2) + 8 * (m3 - m4) + m5;
}

// A along one axis: four numbers become six, the last two places new.
__device__ void transform_output_adjoint(REAL* y, int step) {
  const REAL y0 = y[0], y1 = y[step], y2 = y[2 * step], y3 = y[3 * step];
  y[step] = (y0 + y2) + (y1 + y3);
  y[2 * step] = (y0 + y2) - (y1 + y3);
  y[3 * step] = (y0 + 4 * y2) + 2 * (y1 + 4 * y3);
  y[4 * step] = (y0 + 4 * y2) - 2 * (y1 + 4 * y3);
  y[5 * step] = y3;
}

extern "C" __global__ void winograd_input(const REAL* __restrict__ x, REAL* __restrict__ tiles, int N, int H, int W,
                                          int C, int first, int rows, int columns, int ph, int pw) {
  const idx_t T = (idx_t)N * rows * columns;
  GRID_LOOP(at, T * C) {
    const int c = at % C;
    const idx_t t = at / C;
    const int left = 4 * (int)(t % columns) - pw, top = 4 * (first + (int)(t / columns % rows)) - ph;
    const int n = t / columns / rows;
    REAL d[36];
#pragma unroll
    for (int a = 0; a < 6; ++a)
#pragma unroll
      for (int b = 0; b < 6; ++b) {
        const int u = top + a, v = left + b;
        const bool inside = 0 <= u && u < H && 0 <= v && v < W;
        d[6 * b + a] = inside ? x[(((idx_t)n * H + u) * W + v) * C + c] : 0;
      }
#pragma unroll
    for (int b = 0; b < 6; ++b) transform_input(d + 6 * b, 1);
#pragma unroll
    for (int a = 0; a < 6; ++a) transform_input(d + a, 6);
#pragma unroll
    for (int q = 0; q < 36; ++q) tiles[(q * T + t) * C + c] = d[q];
  }
}

// kernel[q, c, f] of weight[f, c]; turned: kernel[q, f, c] of weight[f, c] turned by 180 degrees.
extern "C" __global__ void winograd_kernel(const REAL* __restrict__ weight, REAL* __restrict__ kernel, int F, int C,
                                           int turned) {
  GRID_LOOP(at, (idx_t)F * C) {
    const idx_t f = turned ? at / C : at % F, c = turned ? at % C : at / F;
    const REAL* w = weight + 9 * (f * C + c);  // w[3i + j]
    const int first = turned ? 8 : 0, step = turned ? -1 : 1;
    REAL half[18], u[36];  // half[6j + a]: G along the rows only
#pragma unroll
    for (int j = 0; j < 3; ++j) transform_kernel(w + first + step * j, 3 * step, half + 6 * j, 1);
#pragma unroll
    for (int a = 0; a < 6; ++a) transform_kernel(half + a, 6, u + a, 6);
#pragma unroll
    for (int q = 0; q < 36; ++q) kernel[(idx_t)q * F * C + at] = u[q];
  }
}

extern "C" __global__ void winograd_kernel_adjoint(const REAL* __restrict__ dkernel, REAL* __restrict__ dweight, int F,
                                                   int C) {
  GRID_LOOP(at, (idx_t)F * C) {
    REAL u[36], half[18];  // half[3b + i]: G^T along the rows only
#pragma unroll
    for (int q = 0; q < 36; ++q) u[q] = dkernel[(idx_t)q * F * C + at];
#pragma unroll
    for (int b = 0; b < 6; ++b) transform_kernel_adjoint(u + 6 * b, 1, half + 3 * b, 1);
#pragma unroll
    for (int i = 0; i < 3; ++i) transform_kernel_adjoint(half + i, 3, dweight + 9 * at + 3 * i, 1);
  }
}

extern "C" __global__ void winograd_output(const REAL* __restrict__ products, const REAL* __restrict__ bias,
                                           REAL* __restrict__ y, int N, int oh, int ow, int F, int first, int rows,
                                           int columns) {
  const idx_t T = (idx_t)N * rows * columns;
  GRID_LOOP(at, T * F) {
    const int f = at % F;
    const idx_t t = at / F;
    const int left = 4 * (int)(t % columns), top = 4 * (first + (int)(t / columns % rows));
    const int n = t / columns / rows;
    REAL m[36];
#pragma unroll
    for (int q = 0; q < 36; ++q) m[q] = products[(q * T + t) * F + f];
#pragma unroll
    for (int b = 0; b < 6; ++b) transform_output(m + 6 * b, 1);
#pragma unroll
    for (int a = 0; a < 4; ++a) transform_output(m + a, 6);
    const REAL offset = bias ? bias[f] : 0;
#pragma unroll
    for (int a = 0; a < 4; ++a)
#pragma unroll
      for (int b = 0; b < 4; ++b)
        if (top + a < oh && left + b < ow)
          y[(((idx_t)n * oh + top + a) * ow + left + b) * F + f] = m[6 * b + a] + offset;
  }
}

extern "C" __global__ void winograd_output_adjoint(const REAL* __restrict__ dy, REAL* __restrict__ gradients, int N,
                                                   int oh, int ow, int F, int first, int rows, int columns) {
  const idx_t T = (idx_t)N * rows * columns;
  GRID_LOOP(at, F * T) {
    const int f = at / T;
    const idx_t t = at % T;
    const int left = 4 * (int)(t % columns), top = 4 * (first + (int)(t / columns % rows));
    const int n = t / columns / rows;
    REAL g[36];
#pragma unroll
    for (int a = 0; a < 4; ++a)
#pragma unroll
      for (int b = 0; b < 4; ++b) {
        const bool inside = top + a < oh && left + b < ow;
        g[6 * b + a] = inside ? dy[(((idx_t)n * oh + top + a) * ow + left + b) * F + f] : 0;
      }
#pragma unroll
    for (int b = 0; b < 4; ++b) transform_output_adjoint(g + 6 * b, 1);
#pragma unroll
    for (int a = 0; a < 6; ++a) transform_output_adjoint(g + a, 6);
#pragma unroll
    for (int q = 0; q < 36; ++q) gradients[q * F * T + at] = g[q];
  }
}
