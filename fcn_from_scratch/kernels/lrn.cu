// Local response normalisation: each value divided by a power of the energy in the channels around it.
//
//   e[r, c] = k + alpha / size * sum over c' of x[r, c']^2,   c' = c - size/2 .. c + (size-1)/2, inside 0 .. C-1
//   y[r, c] = x[r, c] * e[r, c]^-beta
//   dx[r, c] = dy[r, c] e[r, c]^-beta - 2 alpha beta / size * x[r, c] * sum over c' of q[r, c'],
//              q = dy x e^(-beta-1),   c' = c - (size-1)/2 .. c + size/2: the channels whose window contains c
//
// Backward is two kernels: the first writes q, which `size` neighbours need, so that the power is taken once for each.
//
// Memory: x, y, dy, dx, q (rows, C), channels last: a window is a run of memory.
// Who reads what: one thread makes one number and reads the `size` channels around it; its neighbours read nearly the
// same ones, so most reads are the cache's.
#include "common.cuh"

__device__ REAL window_sum(const REAL* row, int c, int before, int after, int C, bool squared) {
  const int first = c > before ? c - before : 0;
  const int last = c + after < C ? c + after : C - 1;
  REAL sum = 0;
  for (int m = first; m <= last; ++m) sum += squared ? row[m] * row[m] : row[m];
  return sum;
}

__device__ REAL energy(const REAL* row, int c, int C, int size, REAL alpha, REAL k) {
  return k + alpha / size * window_sum(row, c, size / 2, (size - 1) / 2, C, true);
}

extern "C" __global__ void lrn(const REAL* __restrict__ x, REAL* __restrict__ y, long long rows, int C, int size,
                               REAL alpha, REAL beta, REAL k) {
  GRID_LOOP(at, rows * C) {
    const int c = at % C;
    y[at] = x[at] * pow(energy(x + (at - c), c, C, size, alpha, k), -beta);
  }
}

extern "C" __global__ void lrn_backward_shared(const REAL* __restrict__ dy, const REAL* __restrict__ x,
                                               REAL* __restrict__ q, long long rows, int C, int size, REAL alpha,
                                               REAL beta, REAL k) {
  GRID_LOOP(at, rows * C) {
    const int c = at % C;
    q[at] = dy[at] * x[at] * pow(energy(x + (at - c), c, C, size, alpha, k), -beta - 1);
  }
}

extern "C" __global__ void lrn_backward(const REAL* __restrict__ dy, const REAL* __restrict__ x,
                                        const REAL* __restrict__ q, REAL* __restrict__ dx, long long rows, int C,
                                        int size, REAL alpha, REAL beta, REAL k) {
  GRID_LOOP(at, rows * C) {
    const int c = at % C;
    const REAL direct = dy[at] * pow(energy(x + (at - c), c, C, size, alpha, k), -beta);
    const REAL shared = window_sum(q + (at - c), c, (size - 1) / 2, size / 2, C, false);
    dx[at] = direct - 2 * alpha * beta / size * x[at] * shared;
  }
}
