// A product of matrices in tiles: C = A B. cuBLAS does it faster and is what the layers use; this one shows how.
//
//   C[m, n] = sum over k of A[m, k] * B[k, n]
//
// Memory: A (M, K), B (K, N), C (M, N), row by row.
// Who reads what: straight from global memory each number of A would be read N times and each of B M times. A block
// of 16 x 16 threads makes a tile of 64 x 64 results instead. It walks along K in strips of 16: all threads together
// copy a strip of A and one of B into shared memory, wait for each other, and each thread adds the strip's part to its
// 4 x 4 results, which stay in registers. So a number comes from global memory once for 64 results, and from shared
// memory once for 4.
//   A thread's rows and columns lie 16 apart: at each k, neighbouring threads read neighbouring numbers of a row of
//   the strips, and no two of a warp want the same bank of shared memory.
#include "common.cuh"

#define TILE 64
#define STRIP 16
#define SIDE 16        // threads along either side of a block
#define EACH (TILE / SIDE)

extern "C" __global__ void gemm(const REAL* __restrict__ A, const REAL* __restrict__ B, REAL* __restrict__ C, int M,
                                int N, int K) {
  __shared__ REAL strip_a[STRIP][TILE + 1];  // [k][m]; one column more, so that writes along k miss each other
  __shared__ REAL strip_b[STRIP][TILE];
  const int tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE;
  const idx_t tiles_n = (N + TILE - 1) / TILE, tiles_m = (M + TILE - 1) / TILE;
  for (idx_t tile = blockIdx.x; tile < tiles_m * tiles_n; tile += gridDim.x) {
    const int top = (int)(tile / tiles_n) * TILE, left = (int)(tile % tiles_n) * TILE;
    REAL sum[EACH][EACH] = {};
    for (int start = 0; start < K; start += STRIP) {
      for (int e = threadIdx.x; e < TILE * STRIP; e += SIDE * SIDE) {
        const int m = top + e / STRIP, ka = start + e % STRIP;
        strip_a[e % STRIP][e / STRIP] = m < M && ka < K ? A[(idx_t)m * K + ka] : 0;
        const int kb = start + e / TILE, n = left + e % TILE;
        strip_b[e / TILE][e % TILE] = kb < K && n < N ? B[(idx_t)kb * N + n] : 0;
      }
      __syncthreads();  // both strips are complete
      for (int k = 0; k < STRIP; ++k) {
        REAL a[EACH], b[EACH];
        for (int r = 0; r < EACH; ++r) a[r] = strip_a[k][ty + SIDE * r];
        for (int q = 0; q < EACH; ++q) b[q] = strip_b[k][tx + SIDE * q];
        for (int r = 0; r < EACH; ++r)
          for (int q = 0; q < EACH; ++q) sum[r][q] += a[r] * b[q];
      }
      __syncthreads();  // everybody is done with them; the next ones may be written
    }
    for (int r = 0; r < EACH; ++r)
      for (int q = 0; q < EACH; ++q) {
        const int m = top + ty + SIDE * r, n = left + tx + SIDE * q;
        if (m < M && n < N) C[(idx_t)m * N + n] = sum[r][q];
      }
  }
}
