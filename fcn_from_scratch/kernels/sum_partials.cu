// The second stage of a sum: totals[q] = sum over r of partials[r, q].
//
// Memory: partials (rows, columns), one row from each block of the first stage; totals (columns,).
// Who reads what: block q reads column q, each thread every 256th row; then the tree of block_sum.
#include "common.cuh"
#include "reduce.cuh"

extern "C" __global__ void sum_partials(const double* __restrict__ partials, double* __restrict__ totals, int rows,
                                        int columns) {
  for (int q = blockIdx.x; q < columns; q += gridDim.x) {
    double sum = 0;
    for (int r = threadIdx.x; r < rows; r += BLOCK) sum += partials[(idx_t)r * columns + q];
    sum = block_sum(sum);
    if (threadIdx.x == 0) totals[q] = sum;
  }
}
