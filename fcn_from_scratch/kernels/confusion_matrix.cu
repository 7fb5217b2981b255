// The confusion matrix: counts[i, j] = number of pixels with label i and prediction j.
//
// A histogram: many threads want to add one to the same few counters. Each block keeps a matrix of its own in shared
// memory, where such additions are quick, and writes it down once; sum_counts adds up the blocks' matrices. Counts are
// integers: atomicAdd gives the same sum in any order.
//
// One more counter, behind the matrix, has the pixels whose label is neither a class nor `ignore`, or whose prediction
// is no class (under ignored labels too): a prediction of K would pass for column 0 of the next row.
//
// Memory: labels, predictions (pixels,); partials (blocks, K*K + 1); counts (K*K + 1,).
// Who reads what: one thread a pixel; then one thread a counter.
#include "common.cuh"

#define MOST_CLASSES 64  // kernels.MOST_CLASSES: the block's matrix takes 16 KiB of shared memory

extern "C" __global__ void confusion_matrix(const long long* __restrict__ labels,
                                            const long long* __restrict__ predictions, int* __restrict__ partials,
                                            long long pixels, int K, long long ignore) {
  __shared__ int counts[MOST_CLASSES * MOST_CLASSES + 1];
  const int cells = K * K + 1;
  for (int cell = threadIdx.x; cell < cells; cell += blockDim.x) counts[cell] = 0;
  __syncthreads();
  GRID_LOOP(pixel, pixels) {
    const long long label = labels[pixel], prediction = predictions[pixel];
    const bool wrong = prediction < 0 || prediction >= K || (label != ignore && (label < 0 || label >= K));
    if (wrong)
      atomicAdd(&counts[K * K], 1);
    else if (label != ignore)
      atomicAdd(&counts[label * K + prediction], 1);
  }
  __syncthreads();
  for (int cell = threadIdx.x; cell < cells; cell += blockDim.x)
    partials[(idx_t)blockIdx.x * cells + cell] = counts[cell];
}

extern "C" __global__ void sum_counts(const int* __restrict__ partials, long long* __restrict__ counts, int blocks,
                                      int cells) {
  GRID_LOOP(cell, cells) {
    long long sum = 0;
    for (int block = 0; block < blocks; ++block) sum += partials[(idx_t)block * cells + cell];
    counts[cell] = sum;
  }
}
