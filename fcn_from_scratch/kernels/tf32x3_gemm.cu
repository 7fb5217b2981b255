// The implicit GEMM on tensor cores, three products for one (3xTF32): nearly float32's accuracy, at more speed.
//
//   y[m, f] = bias[f] + sum over k of patches[m, k] * weight[f, k]       as implicit_gemm.cu, in float32 only
//
// A tensor core multiplies TF32 numbers: float32 with 10 bits behind the point instead of 23. The sums are float32. So
// each factor is written as the sum of two TF32 numbers, x = big + small, where big is x rounded to TF32 and small the
// rest, rounded too: 21 bits together. Of the four products three are computed,
//
//   x w = big_x big_w + big_x small_w + small_x big_w       small_x small_w is below float32's own rounding
//
// the small ones first. Nothing else in this package uses tensor cores, and nothing chooses this kernel: whoever wants
// it asks for the algorithm "3xtf32". An infinity becomes a NaN, because its rest is inf - inf.
//
// Memory: x (N, H, W, C), y (N, oh, ow, F), channels last; weight (F, kh, kw, C).
// Who reads what: as in implicit_gemm.cu up to the strips in shared memory. The 8 warps of a block then have 64 x 32
// results each, as 4 x 4 pieces of 16 x 8. A piece is made by all 32 threads of a warp together (mma): each holds 4
// numbers of the left factor, 2 of the right one and 4 of the results. Which ones, NVIDIA has laid down: with g = lane
// / 4 and e = lane % 4, rows g and g + 8 and k = e and e + 4 of the left factor, column g and k = e and e + 4 of the
// right one, rows g and g + 8 and columns 2e and 2e + 1 of the results.
// Roofline: three times 2*M*F*K operations, on an H200 at about 7 times the speed of its other arithmetic; the strips
// are read as often as before, and each number is split by every warp that uses it.
#undef REAL
#define REAL float  // whatever the launcher says
#include "common.cuh"
#define PITCH (TILE + 8)  // 8: the four k of a piece then lie in different banks
#include "implicit.cuh"

#define WARP_ROWS 64
#define WARP_COLUMNS 32
#define PIECES 4  // of 16 rows or 8 columns

__device__ float rounded_to_tf32(float x) {
  const unsigned bits = __float_as_uint(x);
  const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
  return finite ? __uint_as_float((bits + 0x1000u) & 0xffffe000u) : x;
}

struct Split {
  float big, small;
};

__device__ Split split_in_two(float x) {
  const float big = rounded_to_tf32(x);
  return {big, rounded_to_tf32(x - big)};
}

// d += a b for 16 x 8 by 8 x 8, by the whole warp.
__device__ void multiply_add(float* d, const float* a, const float* b) {
#if !defined(__CUDACC__)
  emu_mma_m16n8k8(d, a, b);
#elif __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])), "r"(__float_as_uint(a[3])),
        "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
#else
  __trap();  // before Ampere there is no TF32; kernels.implicit_gemm refuses
#endif
}

extern "C" __global__ void __launch_bounds__(256, 1)
    tf32x3_gemm(const float* __restrict__ x, const float* __restrict__ weight, const float* __restrict__ bias,
                float* __restrict__ y, int N, int H, int W, int C, int F, int oh, int ow, int kh, int kw, int sh,
                int sw, int ph, int pw, int dh, int dw, int relu) {
  alignas(16) __shared__ float patches[2][STRIP][PITCH], filters[2][STRIP][PITCH];
  const int K = kh * kw * C, warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, e = threadIdx.x % 4;
  const int warp_row = warp / 4 * WARP_ROWS, warp_column = warp % 4 * WARP_COLUMNS;
  const int mine = threadIdx.x / 2, first = threadIdx.x % 2 * RUN;  // the pixel and filter it loads; its first k
  const idx_t M = (idx_t)N * oh * ow, across = (F + TILE - 1) / TILE, tiles = (M + TILE - 1) / TILE * across;
  for (idx_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const idx_t top = tile / across * TILE, m = top + mine;
    const int left = (int)(tile % across) * TILE;
    const float* image = m < M ? x + m / ow / oh * H * W * C : 0;
    const Window window = {image, sh * (int)(m / ow % oh) - ph, sw * (int)(m % ow) - pw, H, W, C, dh, dw, kh, kw};
    const float* filter = left + mine < F ? weight + (idx_t)(left + mine) * K : 0;
    Tap tap = {0, 0, 0};
    go_on(tap, first, C, kw);
    float sum[PIECES][PIECES][4] = {};
    alignas(16) float patch_run[RUN], filter_run[RUN];
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
      float big_b[PIECES][2], small_b[PIECES][2];
#pragma unroll
      for (int q = 0; q < PIECES; ++q)
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const Split parts = split_in_two(filters[now][e + 4 * h][warp_column + 8 * q + g]);
          big_b[q][h] = parts.big;
          small_b[q][h] = parts.small;
        }
#pragma unroll
      for (int r = 0; r < PIECES; ++r) {
        float big_a[4], small_a[4];
#pragma unroll
        for (int h = 0; h < 4; ++h) {
          const Split parts = split_in_two(patches[now][e + h / 2 * 4][warp_row + 16 * r + g + h % 2 * 8]);
          big_a[h] = parts.big;
          small_a[h] = parts.small;
        }
#pragma unroll
        for (int q = 0; q < PIECES; ++q) {
          multiply_add(sum[r][q], small_a, big_b[q]);
          multiply_add(sum[r][q], big_a, small_b[q]);
          multiply_add(sum[r][q], big_a, big_b[q]);
        }
      }
      if (more) {
        store_run(patch_run, patches[1 - now], first, mine);
        store_run(filter_run, filters[1 - now], first, mine);
      }
      __syncthreads();  // nobody reads this buffer any more, and the other one is complete
    }
#pragma unroll
    for (int r = 0; r < PIECES; ++r)
#pragma unroll
      for (int q = 0; q < PIECES; ++q)
#pragma unroll
        for (int h = 0; h < 4; ++h) {
          const idx_t row = top + warp_row + 16 * r + g + h / 2 * 8;
          const int f = left + warp_column + 8 * q + 2 * e + h % 2;
          if (row >= M || f >= F) continue;
          const float value = sum[r][q][h] + (bias ? bias[f] : 0);
          y[row * F + f] = relu && value <= 0 ? 0 : value;
        }
  }
}
