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
// registers. Neighbours read and write runs of memory: neighbouring channels of a tile. The gradients must lie the
// other way round, tiles in a run. So a block of winograd_output_adjoint reads 32 tiles of 8 channels with neighbours
// along the channels, and each thread takes its 16 pixels from shared memory with neighbours along the tiles. Without
// it a warp would read from 32 places, 4 bytes of 32 in each. Only the kernel's channels are turned round the slow way.
//   It is for the 36 GEMMs between the transforms that these arrays lie so: products[q] = tiles[q] kernel[q],
// and dkernel[q] = gradients[q] tiles[q]. cuBLAS does them in one batched call, and transposes no factor first.
// Roofline: memory. A tile is 16 numbers of the map and 36 transformed ones: input and adjoint read 16 (input: 36, but
// 20 of them from the cache) and write 36, output reads 36 and writes 16, or 4 with the pool. Bias and ReLU cost
// nothing more here; on their own they read and write 16 each, and the pool reads 16 again.
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

// The 4 x 4 outputs of tile t, channel f: m[6b + a]. Bias and ReLU are left to the caller.
__device__ void output_tile(const REAL* products, idx_t T, idx_t t, int F, int f, REAL* m) {
#pragma unroll
  for (int q = 0; q < 36; ++q) m[q] = products[(q * T + t) * F + f];
#pragma unroll
  for (int b = 0; b < 6; ++b) transform_output(m + 6 * b, 1);
#pragma unroll
  for (int a = 0; a < 4; ++a) transform_output(m + a, 6);
}

extern "C" __global__ void winograd_output(const REAL* __restrict__ products, const REAL* __restrict__ bias,
                                           REAL* __restrict__ y, int N, int oh, int ow, int F, int first, int rows,
                                           int columns, int relu) {
  const idx_t T = (idx_t)N * rows * columns;
  GRID_LOOP(at, T * F) {
    const int f = at % F;
    const idx_t t = at / F;
    const int left = 4 * (int)(t % columns), top = 4 * (first + (int)(t / columns % rows));
    const int n = t / columns / rows;
    REAL m[36];
    output_tile(products, T, t, F, f, m);
    const REAL offset = bias ? bias[f] : 0;
#pragma unroll
    for (int a = 0; a < 4; ++a)
#pragma unroll
      for (int b = 0; b < 4; ++b)
        if (top + a < oh && left + b < ow) {
          const REAL value = m[6 * b + a] + offset;
          y[(((idx_t)n * oh + top + a) * ow + left + b) * F + f] = relu && value <= 0 ? 0 : value;
        }
  }
}

// The same with ReLU and a 2x2 max-pool at stride 2: the four pools of a tile need no other tile. y, winner (N, h, w,
// F).
extern "C" __global__ void winograd_output_pool(const REAL* __restrict__ products, const REAL* __restrict__ bias,
                                                REAL* __restrict__ y, unsigned char* __restrict__ winner, int N, int oh,
                                                int ow, int F, int first, int rows, int columns, int h, int w) {
  const idx_t T = (idx_t)N * rows * columns;
  GRID_LOOP(at, T * F) {
    const int f = at % F;
    const idx_t t = at / F;
    const int left = 4 * (int)(t % columns), top = 4 * (first + (int)(t / columns % rows));
    const int n = t / columns / rows;
    REAL m[36];
    output_tile(products, T, t, F, f, m);
    const REAL offset = bias ? bias[f] : 0;
#pragma unroll
    for (int i = 0; i < 4; i += 2)
#pragma unroll
      for (int j = 0; j < 4; j += 2) {
        if ((top + i) / 2 >= h || (left + j) / 2 >= w) continue;
        REAL best = m[6 * j + i] + offset;
        int place = 0;
#pragma unroll
        for (int k = 1; k < 4; ++k) {
          const int a = i + k / 2, b = j + k % 2;
          const REAL value = m[6 * b + a] + offset;
          const bool inside = top + a < oh && left + b < ow;  // the last window of an odd map is a part of one
          if (inside && (value > best || value != value)) {
            best = value;
            place = k;
          }
        }
        const idx_t to = (((idx_t)n * h + (top + i) / 2) * w + (left + j) / 2) * F + f;
        y[to] = best <= 0 ? 0 : best;
        winner[to] = best > 0 ? place : place + 4;
      }
  }
}

#define TILES_AT_ONCE 32
#define CHANNELS_AT_ONCE 8
#define PITCH (TILES_AT_ONCE + 4)  // 4: a warp that writes 8 channels of 4 tiles then meets 32 different banks

extern "C" __global__ void winograd_output_adjoint(const REAL* __restrict__ dy, REAL* __restrict__ gradients, int N,
                                                   int oh, int ow, int F, int first, int rows, int columns) {
  __shared__ REAL pixels[16][CHANNELS_AT_ONCE][PITCH];
  const idx_t T = (idx_t)N * rows * columns, tile_groups = (T + TILES_AT_ONCE - 1) / TILES_AT_ONCE;
  const int channel_groups = (F + CHANNELS_AT_ONCE - 1) / CHANNELS_AT_ONCE;
  for (idx_t group = blockIdx.x; group < tile_groups * channel_groups; group += gridDim.x) {
    const idx_t t0 = group / channel_groups * TILES_AT_ONCE;
    const int f0 = (int)(group % channel_groups) * CHANNELS_AT_ONCE;
    {  // read: neighbours have neighbouring channels
      const int c = threadIdx.x % CHANNELS_AT_ONCE, k = threadIdx.x / CHANNELS_AT_ONCE;
      const idx_t t = t0 + k;
      const int left = 4 * (int)(t % columns), top = 4 * (first + (int)(t / columns % rows));
      const idx_t n = t / columns / rows;
#pragma unroll
      for (int p = 0; p < 16; ++p) {
        const int u = top + p / 4, v = left + p % 4;
        const bool inside = t < T && f0 + c < F && u < oh && v < ow;
        pixels[p][c][k] = inside ? dy[((n * oh + u) * ow + v) * F + f0 + c] : 0;
      }
    }
    __syncthreads();  // all 16 pixels of all tiles are there
    {  // write: neighbours have neighbouring tiles
      const int k = threadIdx.x % TILES_AT_ONCE, c = threadIdx.x / TILES_AT_ONCE;
      REAL g[36];
#pragma unroll
      for (int p = 0; p < 16; ++p) g[6 * (p % 4) + p / 4] = pixels[p][c][k];
#pragma unroll
      for (int b = 0; b < 4; ++b) transform_output_adjoint(g + 6 * b, 1);
#pragma unroll
      for (int a = 0; a < 6; ++a) transform_output_adjoint(g + a, 6);
      if (t0 + k < T && f0 + c < F)
#pragma unroll
        for (int q = 0; q < 36; ++q) gradients[((idx_t)q * F + f0 + c) * T + t0 + k] = g[q];
    }
    __syncthreads();  // everybody has read; the next group may be written
  }
}
