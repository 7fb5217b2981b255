// Sums in two stages, always in the same order. atomicAdd on floating-point numbers would be shorter, but its result
// would change in the last digit from run to run.
//
// Stage 1: every thread sums the numbers that the grid-stride loop gives it. block_sum adds up the threads of a block,
//          and each block writes one number. Stage 2: sum_partials adds up the blocks' numbers.
#pragma once

#define BLOCK 256  // threads of a block: a power of two, the same as launch.THREADS

// The sum of `value` over the threads of the block, valid in thread 0. All threads must call it.
//   step 128: shared[t] += shared[t + 128] for t < 128; step 64, 32, ..., 1 likewise: a tree, eight additions deep
__device__ double block_sum(double value) {
  __shared__ double shared[BLOCK];
  shared[threadIdx.x] = value;
  __syncthreads();
  for (unsigned step = BLOCK / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) shared[threadIdx.x] += shared[threadIdx.x + step];
    __syncthreads();
  }
  const double total = shared[0];
  __syncthreads();  // no thread may write the next call's numbers while another still reads this call's
  return total;
}
