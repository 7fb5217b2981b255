// Bias and ReLU in one pass over the array: y[r, c] = max(x[r, c] + bias[c], 0). A NaN stays one.
//
// Two kernels would read and write the whole map twice, and both do nothing else: their time is the memory's time.
// Fused, half of it is saved.
//
// Memory: x, y (rows, C), channels last; they may be the same array, so neither is declared __restrict__.
// Who reads what: one thread, one number.
#include "common.cuh"

extern "C" __global__ void bias_relu(const REAL* x, const REAL* __restrict__ bias, REAL* y, long long rows, int C) {
  GRID_LOOP(at, rows * C) {
    const REAL value = x[at] + bias[at % C];
    y[at] = value <= 0 ? 0 : value;
  }
}
