// Max-pooling: the largest pixel of each window, and where it stood; backward, the gradient goes to that pixel alone.
//
//   y[n, i, j, c] = max over a, b of x[n, sh*i + dh*a - ph, sw*j + dw*b - pw, c]        (padding never wins)
//   winner[n, i, j, c] = a*kw + b of that pixel: its place in the window, one byte
//   dx[n, u, v, c] = sum over the windows (i, j) whose winner is (u, v) of dy[n, i, j, c]
//
// Of equal pixels the first in row-major order wins: the comparison is strict. A NaN beats every number and a later
// NaN an earlier one, as in PyTorch. A winner that is no place in the window passes nothing on.
//
// Memory: everything channels last: x, dx (N, H, W, C); y, dy, winner (N, oh, ow, C).
// Who reads what: forward, one thread makes one output. Backward, one thread makes one number of dx: it asks the few
// windows that cover its pixel whether it won them. The other way round, from each output to its winner, overlapping
// windows would meet at a pixel and their order of addition would change from run to run.
#include "common.cuh"

extern "C" __global__ void max_pool(const REAL* __restrict__ x, REAL* __restrict__ y,
                                    unsigned char* __restrict__ winner, int N, int H, int W, int C, int oh, int ow,
                                    int kh, int kw, int sh, int sw, int ph, int pw, int dh, int dw) {
  GRID_LOOP(at, (idx_t)N * oh * ow * C) {
    idx_t rest = at;
    const int c = rest % C;
    rest /= C;
    const int j = rest % ow;
    rest /= ow;
    const int i = rest % oh;
    const int n = rest / oh;
    int place = -1;
    REAL best = 0;
    for (int a = 0; a < kh; ++a) {
      const int u = sh * i + dh * a - ph;
      if (u < 0 || u >= H) continue;
      for (int b = 0; b < kw; ++b) {
        const int v = sw * j + dw * b - pw;
        if (v < 0 || v >= W) continue;
        const REAL value = x[(((idx_t)n * H + u) * W + v) * C + c];
        if (place < 0 || value > best || value != value) {
          place = a * kw + b;
          best = value;
        }
      }
    }
    y[at] = best;
    winner[at] = place;
  }
}

// The first and the last window along one axis that can cover position u.
__device__ int first_window(int u, int k, int s, int p, int d) {
  const int reach = u + p - d * (k - 1);
  return reach > 0 ? (reach + s - 1) / s : 0;
}
__device__ int last_window(int u, int s, int p, int out) {
  const int last = (u + p) / s;
  return last < out ? last : out - 1;
}

extern "C" __global__ void max_pool_backward(const REAL* __restrict__ dy, const unsigned char* __restrict__ winner,
                                             REAL* __restrict__ dx, int N, int H, int W, int C, int oh, int ow, int kh,
                                             int kw, int sh, int sw, int ph, int pw, int dh, int dw) {
  GRID_LOOP(at, (idx_t)N * H * W * C) {
    idx_t rest = at;
    const int c = rest % C;
    rest /= C;
    const int v = rest % W;
    rest /= W;
    const int u = rest % H;
    const int n = rest / H;
    const int last_i = last_window(u, sh, ph, oh), last_j = last_window(v, sw, pw, ow);
    REAL sum = 0;
    for (int i = first_window(u, kh, sh, ph, dh); i <= last_i; ++i) {
      const int down = u + ph - sh * i;  // in pixels from the window's first row
      if (down % dh != 0) continue;
      for (int j = first_window(v, kw, sw, pw, dw); j <= last_j; ++j) {
        const int right = v + pw - sw * j;
        if (right % dw != 0) continue;
        const idx_t from = (((idx_t)n * oh + i) * ow + j) * C + c;
        if (winner[from] == down / dh * kw + right / dw) sum += dy[from];
      }
    }
    dx[at] = sum;
  }
}
