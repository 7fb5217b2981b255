// A tile of results in registers: each of 16 x 16 threads has 8 x 8 of them, and multiplies and adds one at a time.
//
// A thread has 4 neighbouring rows, and 4 more rows that lie 64 further on. Its columns are placed in the same way.
// So 4 numbers of shared memory are one access, and neighbouring threads read neighbouring 16 bytes. For each k a
// thread makes 64 multiply-adds and 4 reads of 16 bytes.
#pragma once

#define SIDE 16          // threads along either side of a block
#define HALF (TILE / 2)  // from a thread's first run of rows or columns to its second
#define BLOCKS_AT_ONCE (sizeof(REAL) == 4 ? 2 : 1)  // on a multiprocessor: one computes while the other waits

struct RegisterTile {
  typedef REAL number;
  enum { PITCH = TILE + 4 };  // of a row in shared memory. 4: the two halves of a warp then write to different banks
  number sum[2 * RUN][2 * RUN];
};

__device__ void add(RegisterTile& tile, const REAL (*left)[RegisterTile::PITCH],
                    const REAL (*right)[RegisterTile::PITCH]) {
  const int tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE;
#pragma unroll
  for (int k = 0; k < STRIP; ++k) {
    alignas(16) REAL a[2 * RUN], b[2 * RUN];
    copy_run(&left[k][RUN * ty], a);
    copy_run(&left[k][RUN * ty + HALF], a + RUN);
    copy_run(&right[k][RUN * tx], b);
    copy_run(&right[k][RUN * tx + HALF], b + RUN);
#pragma unroll
    for (int r = 0; r < 2 * RUN; ++r)
#pragma unroll
      for (int q = 0; q < 2 * RUN; ++q) tile.sum[r][q] += a[r] * b[q];
  }
}

// The tile whose first result is at (top, left) of y (rows, columns), plus a number for each column, then ReLU.
__device__ void write(const RegisterTile& tile, REAL* y, idx_t top, idx_t rows, int left, int columns, const REAL* bias,
                      int relu) {
  const int tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE;
#pragma unroll
  for (int r = 0; r < 2 * RUN; ++r) {
    const idx_t row = top + RUN * ty + r % RUN + r / RUN * HALF;
    if (row >= rows) continue;
    write_run(tile.sum[r], bias, y + row * columns, left + RUN * tx, columns, relu);
    write_run(tile.sum[r] + RUN, bias, y + row * columns, left + RUN * tx + HALF, columns, relu);
  }
}
