// Bilinear upsampling along one axis: transposed convolution of every channel with one fixed triangle.
//
//   y[o, i, q] = sum over u of x[o, u, q] * tap(i + p - s*u)        tap(a) = 1 - |a - centre| / factor, 0 <= a < k
//   dx[o, u, q] = sum over a of tap(a) * dy[o, s*u + a - p, q]      the transpose
//
// The two-dimensional kernel is a product of two triangles, so two passes, along H and along W, do for k + k taps what
// one pass would need k * k for. No kernel is stored: its numbers are computed where they are needed.
//
// Memory: x, dx (outer, size, inner), y, dy (outer, out, inner), out = s*(size - 1) + k - 2p. For images (N, H, W, C),
// channels last, the pass along H has outer = N and inner = W*C, the one along W outer = N*H and inner = C.
// Who reads what: one thread makes one number; neighbours have neighbouring q, and read neighbouring memory.
#include "common.cuh"
#include "windows.cuh"

__device__ REAL tap(int a, int k) {
  const int factor = (k + 1) / 2;
  const REAL centre = k % 2 ? factor - 1 : factor - (REAL)0.5;
  const REAL distance = a > centre ? a - centre : centre - a;
  return 1 - distance / factor;
}

extern "C" __global__ void bilinear(const REAL* __restrict__ x, REAL* __restrict__ y, int outer, int size, int inner,
                                    int k, int s, int p) {
  const int out = s * (size - 1) + k - 2 * p;
  GRID_LOOP(at, (idx_t)outer * out * inner) {
    const int q = at % inner, i = at / inner % out, o = at / inner / out;
    REAL sum = 0;
    WINDOW_LOOP(u, i, k, s, p, 1, size)
      sum += x[((idx_t)o * size + u) * inner + q] * tap(i + p - s * u, k);
    y[at] = sum;
  }
}

extern "C" __global__ void bilinear_backward(const REAL* __restrict__ dy, REAL* __restrict__ dx, int outer, int size,
                                             int inner, int k, int s, int p) {
  const int out = s * (size - 1) + k - 2 * p;
  GRID_LOOP(at, (idx_t)outer * size * inner) {
    const int q = at % inner, u = at / inner % size, o = at / inner / size;
    REAL sum = 0;
    for (int a = 0; a < k; ++a) {
      const int i = s * u + a - p;
      if (0 <= i && i < out) sum += dy[((idx_t)o * out + i) * inner + q] * tap(a, k);
    }
    dx[at] = sum;
  }
}
