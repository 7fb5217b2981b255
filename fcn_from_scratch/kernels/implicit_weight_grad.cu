// The weight gradient of a convolution as a product of matrices, again without writing the patches.
//
//   dweight[f, k] = sum over m of dy[m, f] * patches[m, k]               patches, m and k as in implicit_gemm.cu
//
// The sum runs over all pixels, of which there may be half a million. The result is only as large as the weight: for 64
// filters of 3x3x64 it has five tiles. But a GPU has more than a hundred multiprocessors. So the pixels are cut into
// shares. Each share makes a whole dweight, parts[s], and sum_parts adds them up. No two blocks write to one place, and
// every sum has one order. The host chooses the shares from the sizes alone, so every GPU adds in the same order.
//
// Memory: dy (N, oh, ow, F), x (N, H, W, C), channels last; parts (shares, F, kh, kw, C); dweight (F, kh, kw, C).
// Who reads what: a block makes a tile of 128 filters x 128 numbers of a patch for one share, and walks along the
// pixels in strips of 8 (implicit.cuh). A warp reads one pixel: each of its threads 4 filters of dy and 4 numbers of
// the patch, side by side; with -DPACKED=1 as 16 bytes at once, where C and F are multiples of 4. In dy and in the
// patches the pixels are the slow axis, so they lie in shared memory as they were read: a thread writes 16 bytes at
// once.
//   In implicit_gemm.cu a thread keeps its pixel and goes on along the patch. Here it keeps its place in the patch and
// goes on along the pixels, with a carry.
// Roofline: 2*M*F*K operations, 32 for each byte of float32 that is read, as in implicit_gemm.cu. The parts are written
// and read once more: at most 512 tiles, 34 MB of float32.
//
// tf32x3_weight_grad is the same on tensor cores (tile_tf32x3.cuh), in float32 only.
#include "common.cuh"
#include "implicit.cuh"
#include "tile.cuh"
#include "tile_tf32x3.cuh"

struct Pixel {
  int n, i, j;
};

__device__ void go_on(Pixel& pixel, int by, const Convolution& conv) {
  pixel.j += by;
  while (pixel.j >= conv.ow) {
    pixel.j -= conv.ow;
    if (++pixel.i == conv.oh) {
      pixel.i = 0;
      ++pixel.n;
    }
  }
}

// What a thread loads: some filters of dy and some numbers of the patch, from one pixel to the next.
template <class number>
struct Source {
  const Convolution& conv;
  const number *dy, *x;
  idx_t m, end;  // its pixel, and the one behind the share
  Pixel pixel;
  int f;
  Tap tap;
  alignas(16) number dy_run[RUN], patch_run[RUN];
};

template <class number>
__device__ void load(Source<number>& source) {
  const Convolution& conv = source.conv;
  const Pixel& at = source.pixel;
  const bool there = source.m < source.end;
  const number* image = there ? source.x + (idx_t)at.n * conv.H * conv.W * conv.C : 0;
  const Window<number> window = {image, conv.sh * at.i - conv.ph, conv.sw * at.j - conv.pw};
  load_row(source.dy + source.m * conv.F, source.f, there ? conv.F : 0, source.dy_run);
  load_patch(conv, window, source.tap, source.patch_run);
}

template <class number, int PITCH>
__device__ void store(const Source<number>& source, number (*left)[PITCH], number (*right)[PITCH]) {
  const int row = threadIdx.x / 32, column = threadIdx.x % 32 * RUN;
  copy_run(source.dy_run, &left[row][column]);
  copy_run(source.patch_run, &right[row][column]);
}

template <class number>
__device__ void go_on(Source<number>& source) {
  go_on(source.pixel, STRIP, source.conv);
  source.m += STRIP;
}

template <class Tile, class number>
__device__ void gradient(const number* __restrict__ dy, const number* __restrict__ x, number* __restrict__ parts,
                         const Convolution& conv, int shares, idx_t share) {
  const int K = conv.kh * conv.kw * conv.C, row = threadIdx.x / 32, column = threadIdx.x % 32 * RUN;
  const idx_t M = (idx_t)conv.N * conv.oh * conv.ow, across = (K + TILE - 1) / TILE, down = (conv.F + TILE - 1) / TILE;
  for (idx_t at = blockIdx.x; at < shares * down * across; at += gridDim.x) {
    const int left = (int)(at % across) * TILE, top = (int)(at / across % down) * TILE, k = left + column;
    const idx_t s = at / across / down, begin = s * share, end = begin + share < M ? begin + share : M;
    const idx_t m = begin + row;
    const Pixel pixel = {(int)(m / conv.ow / conv.oh), (int)(m / conv.ow % conv.oh), (int)(m % conv.ow)};
    const Tap tap = {k % conv.C, k / conv.C % conv.kw, k / conv.C / conv.kw};
    Source<number> source = {conv, dy, x, m, end, pixel, top + column, tap, {}, {}};
    Tile tile = {};
    add_up(tile, source, (int)((end - begin + STRIP - 1) / STRIP));
    write(tile, parts + s * conv.F * K, top, conv.F, left, K, (const number*)0, 0);
  }
}

extern "C" __global__ void __launch_bounds__(256, BLOCKS_AT_ONCE)
    implicit_weight_grad(const REAL* __restrict__ dy, const REAL* __restrict__ x, REAL* __restrict__ parts, int N,
                         int H, int W, int C, int F, int oh, int ow, int kh, int kw, int sh, int sw, int ph, int pw,
                         int dh, int dw, int shares, long long share) {
  const Convolution conv = {N, H, W, C, F, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw};
  gradient<RegisterTile>(dy, x, parts, conv, shares, share);
}

extern "C" __global__ void __launch_bounds__(256, 1)
    tf32x3_weight_grad(const float* __restrict__ dy, const float* __restrict__ x, float* __restrict__ parts, int N,
                       int H, int W, int C, int F, int oh, int ow, int kh, int kw, int sh, int sw, int ph, int pw,
                       int dh, int dw, int shares, long long share) {
  const Convolution conv = {N, H, W, C, F, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw};
  gradient<TensorTile>(dy, x, parts, conv, shares, share);
}

// The second stage: sum[at] = the parts' numbers at this place, added in their order.
extern "C" __global__ void sum_parts(const REAL* __restrict__ parts, REAL* __restrict__ sum, long long count,
                                     int shares) {
  GRID_LOOP(at, count) {
    double total = 0;
    for (int s = 0; s < shares; ++s) total += parts[s * count + at];
    sum[at] = (REAL)total;
  }
}
