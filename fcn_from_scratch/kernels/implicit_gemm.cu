// Convolution as a product of matrices whose left factor is never written: an implicit GEMM.
//
//   y[m, f] = bias[f] + sum over k of patches[m, k] * weight[f, k]       then ReLU, if relu
//   patches[m, k] = x[n, sh*i + dh*a - ph, sw*j + dw*b - pw, c]          m = (n, i, j), k = (a, b, c); 0 outside x
//
// im2col.cu writes the patches to memory, kh*kw times the image, and the product reads them again. Here the threads
// that need a strip of the patches copy it from x straight into shared memory.
//
// Memory: x (N, H, W, C), y (N, oh, ow, F), channels last; weight (F, kh, kw, C).
// Who reads what: a block of 16 x 16 threads makes a tile of 128 x 128 results, as in gemm.cu but with 8 x 8 in the
// registers of each thread: a number comes from global memory once for 128 results and from shared memory once for 8.
// It walks along k in strips of 8. For each strip a thread loads 4 numbers of its pixel and 4 of its filter, side by
// side in memory; with -DPACKED=1 as 16 bytes at once, where C is a multiple of 4. There are two buffers: while the
// block computes with one strip, the loads of the next are under way, and go into the other buffer. So one barrier a
// strip is enough. A thread's rows are 4 side by side and 4 more 64 further on, and so are its columns: 4 numbers of
// shared memory are one access, and neighbouring threads read neighbouring 16 bytes.
//   The place (c, b, a) of a thread's first k goes on from strip to strip with a carry: nothing is divided in the loop.
// Roofline: 2*M*F*K operations. Each tile reads 2*128*K numbers for 128*128*2*K operations: 32 operations for a byte of
// float32, mostly from the cache. An H200 needs 16 to be bound by arithmetic. Each k costs a thread 64 multiply-adds,
// and a sixteenth of that in reads of shared memory. A layer with few tiles leaves multiprocessors without work: 35 x
// 35 pixels and 512 filters are 40 tiles, and an H200 has 132 of them.
#include "common.cuh"
#define PITCH (TILE + 4)  // 4: the two halves of a warp then write to different banks
#include "implicit.cuh"

#define SIDE 16           // threads along either side of a block
#define HALF (TILE / 2)   // from a thread's first run of rows or columns to its second
#define BLOCKS_AT_ONCE (sizeof(REAL) == 4 ? 2 : 1)  // on a multiprocessor: one computes while the other waits

// One row of results, RUN of them from filter f on.
__device__ void write_run(const REAL* sum, const REAL* bias, REAL* y, int f, int F, int relu) {
  alignas(16) REAL run[RUN];
#pragma unroll
  for (int e = 0; e < RUN; ++e) {
    const REAL value = sum[e] + (bias && f + e < F ? bias[f + e] : 0);
    run[e] = relu && value <= 0 ? 0 : value;
  }
#if PACKED
  if (F % RUN == 0) {
    if (f < F) copy_run(run, y + f);
    return;
  }
#endif
#pragma unroll
  for (int e = 0; e < RUN; ++e)
    if (f + e < F) y[f + e] = run[e];
}

// The bounds leave 128 registers to a thread of floats.
extern "C" __global__ void __launch_bounds__(SIDE* SIDE, BLOCKS_AT_ONCE)
    implicit_gemm(const REAL* __restrict__ x, const REAL* __restrict__ weight, const REAL* __restrict__ bias,
                  REAL* __restrict__ y, int N, int H, int W, int C, int F, int oh, int ow, int kh, int kw, int sh,
                  int sw, int ph, int pw, int dh, int dw, int relu) {
  alignas(16) __shared__ REAL patches[2][STRIP][PITCH], filters[2][STRIP][PITCH];
  const int K = kh * kw * C, tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE;
  const int mine = threadIdx.x / 2, first = threadIdx.x % 2 * RUN;  // the pixel and filter it loads; its first k
  const idx_t M = (idx_t)N * oh * ow, across = (F + TILE - 1) / TILE, tiles = (M + TILE - 1) / TILE * across;
  for (idx_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const idx_t top = tile / across * TILE, m = top + mine;
    const int left = (int)(tile % across) * TILE;
    const REAL* image = m < M ? x + m / ow / oh * H * W * C : 0;
    const Window window = {image, sh * (int)(m / ow % oh) - ph, sw * (int)(m % ow) - pw, H, W, C, dh, dw, kh, kw};
    const REAL* filter = left + mine < F ? weight + (idx_t)(left + mine) * K : 0;
    Tap tap = {0, 0, 0};
    go_on(tap, first, C, kw);
    REAL sum[2 * RUN][2 * RUN] = {};
    alignas(16) REAL patch_run[RUN], filter_run[RUN];
    load_patch(window, tap, patch_run);
    load_filter(filter, first, K, filter_run);
    store_run(patch_run, patches[0], first, mine);
    store_run(filter_run, filters[0], first, mine);
    __syncthreads();  // the first strip is complete
    for (int start = 0, now = 0; start < K; start += STRIP, now = 1 - now) {
      const bool more = start + STRIP < K;
      if (more) {
        go_on(tap, STRIP, C, kw);
        load_patch(window, tap, patch_run);
        load_filter(filter, start + STRIP + first, K, filter_run);
      }
#pragma unroll
      for (int k = 0; k < STRIP; ++k) {
        alignas(16) REAL a[2 * RUN], b[2 * RUN];
        copy_run(&patches[now][k][RUN * ty], a);
        copy_run(&patches[now][k][RUN * ty + HALF], a + RUN);
        copy_run(&filters[now][k][RUN * tx], b);
        copy_run(&filters[now][k][RUN * tx + HALF], b + RUN);
#pragma unroll
        for (int r = 0; r < 2 * RUN; ++r)
#pragma unroll
          for (int q = 0; q < 2 * RUN; ++q) sum[r][q] += a[r] * b[q];
      }
      if (more) {
        store_run(patch_run, patches[1 - now], first, mine);
        store_run(filter_run, filters[1 - now], first, mine);
      }
      __syncthreads();  // nobody reads this buffer any more, and the other one is complete
    }
#pragma unroll
    for (int r = 0; r < 2 * RUN; ++r) {
      const idx_t row = top + RUN * ty + r % RUN + r / RUN * HALF;
      if (row >= M) continue;
      write_run(sum[r], bias, y + row * F, left + RUN * tx, F, relu);
      write_run(sum[r] + RUN, bias, y + row * F, left + RUN * tx + HALF, F, relu);
    }
  }
}
