// Convolution as a product of matrices whose left factor is never written: an implicit GEMM.
//
//   y[m, f] = bias[f] + sum over k of patches[m, k] * weight[f, k]       then ReLU, if relu
//   patches[m, k] = x[n, sh*i + dh*a - ph, sw*j + dw*b - pw, c]          m = (n, i, j), k = (a, b, c); 0 outside x
//
// im2col.cu writes the patches to memory, kh*kw times the image, and the product reads them again. Here the threads
// that need a strip of the patches copy it from x straight into shared memory.
//
// Memory: x (N, H, W, C), y (N, oh, ow, F), channels last; weight (F, kh, kw, C).
// Who reads what: a block of 256 threads makes a tile of 128 x 128 results, as in gemm.cu but with 8 x 8 in the
// registers of each thread: a number comes from global memory once for 128 results and from shared memory once for 8.
// It walks along k in strips of 8 (implicit.cuh). Two threads share a pixel and a filter: for each strip, each of them
// loads 4 numbers of either, side by side in memory; with -DPACKED=1 as 16 bytes at once, where C is a multiple of 4.
//   The place (c, b, a) of a thread's first k goes on from strip to strip with a carry: nothing is divided in the loop.
// Roofline: 2*M*F*K operations. Each tile reads 2*128*K numbers for 128*128*2*K operations: 32 operations for a byte of
// float32, mostly from the cache. An H200 needs 16 to be bound by arithmetic. A layer with few tiles leaves
// multiprocessors without work: 35 x 35 pixels and 512 filters are 40 tiles, and an H200 has 132 of them.
//
// tf32x3_gemm is the same product on tensor cores (tile_tf32x3.cuh), in float32 only. Its roofline: three times the
// operations, on an H200 at about 7 times the speed; every warp that uses a number splits it.
#include "common.cuh"
#include "implicit.cuh"
#include "tile.cuh"
#include "tile_tf32x3.cuh"

// What a thread loads: its pixel's patch and its filter, from one k to the next.
template <class number>
struct Source {
  const Convolution& conv;
  Window<number> window;
  const number* filter;
  int k, K;  // the place of its run in both; the length of the filter, 0 if there is none
  Tap tap;
  alignas(16) number patch_run[RUN], filter_run[RUN];
};

template <class number>
__device__ void load(Source<number>& source) {
  load_patch(source.conv, source.window, source.tap, source.patch_run);
  load_row(source.filter, source.k, source.K, source.filter_run);
}

template <class number, int PITCH>
__device__ void store(const Source<number>& source, number (*left)[PITCH], number (*right)[PITCH]) {
  const int row = threadIdx.x / 2, first = threadIdx.x % 2 * RUN;
#pragma unroll
  for (int e = 0; e < RUN; ++e) {
    left[first + e][row] = source.patch_run[e];
    right[first + e][row] = source.filter_run[e];
  }
}

template <class number>
__device__ void go_on(Source<number>& source) {
  go_on(source.tap, STRIP, source.conv);
  source.k += STRIP;
}

template <class Tile, class number>
__device__ void convolve(const number* __restrict__ x, const number* __restrict__ weight,
                         const number* __restrict__ bias, number* __restrict__ y, const Convolution& conv, int relu) {
  const int K = conv.kh * conv.kw * conv.C, mine = threadIdx.x / 2, first = threadIdx.x % 2 * RUN;
  const idx_t M = (idx_t)conv.N * conv.oh * conv.ow, across = (conv.F + TILE - 1) / TILE;
  const idx_t tiles = (M + TILE - 1) / TILE * across;
  for (idx_t at = blockIdx.x; at < tiles; at += gridDim.x) {
    const idx_t top = at / across * TILE, m = top + mine, i = m / conv.ow % conv.oh, j = m % conv.ow;
    const int left = (int)(at % across) * TILE;
    const number* image = m < M ? x + m / conv.ow / conv.oh * conv.H * conv.W * conv.C : 0;
    const number* filter = weight + (idx_t)(left + mine) * K;
    const Window<number> window = {image, conv.sh * (int)i - conv.ph, conv.sw * (int)j - conv.pw};
    const int length = left + mine < conv.F ? K : 0;
    Source<number> source = {conv, window, filter, first, length, {0, 0, 0}, {}, {}};
    go_on(source.tap, first, conv);
    Tile tile = {};
    add_up(tile, source, (K + STRIP - 1) / STRIP);
    write(tile, y, top, M, left, conv.F, bias, relu);
  }
}

// The bounds leave 128 registers to a thread of floats.
extern "C" __global__ void __launch_bounds__(256, BLOCKS_AT_ONCE)
    implicit_gemm(const REAL* __restrict__ x, const REAL* __restrict__ weight, const REAL* __restrict__ bias,
                  REAL* __restrict__ y, int N, int H, int W, int C, int F, int oh, int ow, int kh, int kw, int sh,
                  int sw, int ph, int pw, int dh, int dw, int relu) {
  const Convolution conv = {N, H, W, C, F, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw};
  convolve<RegisterTile>(x, weight, bias, y, conv, relu);
}

extern "C" __global__ void __launch_bounds__(256, 1)
    tf32x3_gemm(const float* __restrict__ x, const float* __restrict__ weight, const float* __restrict__ bias,
                float* __restrict__ y, int N, int H, int W, int C, int F, int oh, int ow, int kh, int kw, int sh,
                int sw, int ph, int pw, int dh, int dw, int relu) {
  const Convolution conv = {N, H, W, C, F, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw};
  convolve<TensorTile>(x, weight, bias, y, conv, relu);
}
