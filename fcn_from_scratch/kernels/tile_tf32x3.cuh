// A tile of results on tensor cores, three products for one (3xTF32): nearly float32's accuracy, at more speed.
//
// A tensor core multiplies TF32 numbers: float32 with 10 bits behind the point instead of 23. The sums are float32. So
// each factor is written as the sum of two TF32 numbers, x = big + small, where big is x rounded to TF32 and small the
// rest, rounded too: 21 bits together. Of the four products three are computed,
//
//   x w = big_x big_w + big_x small_w + small_x big_w       small_x small_w is below float32's own rounding
//
// the small ones first. No other kernel of this package uses tensor cores, and nothing chooses this: whoever wants it
// asks for the algorithm "3xtf32". An infinity becomes a NaN, because its rest is inf - inf.
//
// The 8 warps of a block have 64 x 32 results each, as 4 x 4 pieces of 16 x 8. A piece is made by all 32 threads of a
// warp together (mma): each holds 4 numbers of the left factor, 2 of the right one and 4 of the results. Which ones,
// NVIDIA has laid down: with g = lane / 4 and e = lane % 4, rows g and g + 8 and k = e and e + 4 of the left factor,
// column g and k = e and e + 4 of the right one, rows g and g + 8 and columns 2e and 2e + 1 of the results.
#pragma once

#define WARP_ROWS 64
#define WARP_COLUMNS 32
#define PIECES 4  // of 16 rows or 8 columns

struct TensorTile {
  typedef float number;
  enum { PITCH = TILE + 8 };  // of a row in shared memory. 8: the four k of a piece then lie in different banks
  float sum[PIECES][PIECES][4];
};

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
  __trap();  // before Ampere there is no TF32; kernels.convolution refuses
#endif
}

__device__ void add(TensorTile& tile, const float (*left)[TensorTile::PITCH], const float (*right)[TensorTile::PITCH]) {
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, e = threadIdx.x % 4;
  const int first_row = warp / 4 * WARP_ROWS + g, first_column = warp % 4 * WARP_COLUMNS + g;
  float big_b[PIECES][2], small_b[PIECES][2];
#pragma unroll
  for (int q = 0; q < PIECES; ++q)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const Split parts = split_in_two(right[e + 4 * h][first_column + 8 * q]);
      big_b[q][h] = parts.big;
      small_b[q][h] = parts.small;
    }
#pragma unroll
  for (int r = 0; r < PIECES; ++r) {
    float big_a[4], small_a[4];
#pragma unroll
    for (int h = 0; h < 4; ++h) {
      const Split parts = split_in_two(left[e + h / 2 * 4][first_row + 16 * r + h % 2 * 8]);
      big_a[h] = parts.big;
      small_a[h] = parts.small;
    }
#pragma unroll
    for (int q = 0; q < PIECES; ++q) {
      multiply_add(tile.sum[r][q], small_a, big_b[q]);
      multiply_add(tile.sum[r][q], big_a, small_b[q]);
      multiply_add(tile.sum[r][q], big_a, big_b[q]);
    }
  }
}

// As for a RegisterTile.
__device__ void write(const TensorTile& tile, float* y, idx_t top, idx_t rows, int left, int columns, const float* bias,
                      int relu) {
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, e = threadIdx.x % 4;
#pragma unroll
  for (int r = 0; r < PIECES; ++r)
#pragma unroll
    for (int q = 0; q < PIECES; ++q)
#pragma unroll
      for (int h = 0; h < 4; ++h) {
        const idx_t row = top + warp / 4 * WARP_ROWS + 16 * r + g + h / 2 * 8;
        const int column = left + warp % 4 * WARP_COLUMNS + 8 * q + 2 * e + h % 2;
        if (row >= rows || column >= columns) continue;
        const float value = tile.sum[r][q][h] + (bias ? bias[column] : 0);
        y[row * columns + column] = relu && value <= 0 ? 0 : value;
      }
}
