// What every kernel shares. launch.py writes this text into each source in place of its #include. CuPy's cache of
// compiled kernels looks only at the source and would not notice a change here.
//
// REAL is float or double: each source is compiled once for each of them, with -DREAL=float or -DREAL=double.
// Kernels use no header of C or C++, so that NVRTC needs nothing but this text; g++ compiles the same files for the
// tests on machines without a GPU.
#pragma once

// Flat indices are 64 bits wide: the patches of a large batch are more than two billion numbers, and an int would wrap.
typedef long long idx_t;

// A thread reads or writes at most 16 bytes at once: four floats, or two doubles. Their address must be a multiple of
// 16; launch.py checks that of every array that a kernel takes in packs.
struct alignas(16) Pack {
  REAL at[16 / sizeof(REAL)];
};

// The grid-stride loop: the threads of all blocks share the numbers 0 .. n-1. Neighbouring threads take neighbouring
// numbers, so a warp reads and writes one run of memory. Any number of blocks gives the same result.
// blockIdx.x * blockDim.x would be unsigned and 32 bits wide, so the conversion comes before the product.
#define GRID_LOOP(i, n)                                                       \
  for (idx_t i = (idx_t)blockIdx.x * blockDim.x + threadIdx.x,                \
             i##_step = (idx_t)gridDim.x * blockDim.x;                        \
       i < (n); i += i##_step)
