// Max-pooling: the largest pixel of each window, and where it stood; backward, the gradient goes to that pixel alone.
//
//   y[n, i, j, c] = max over a, b of x[n, sh*i + dh*a - ph, sw*j + dw*b - pw, c]        (padding never wins)
//   winner[n, i, j, c] = a*kw + b of that pixel: its place in the window, one byte
//   dx[n, u, v, c] = sum over the windows (i, j) whose winner is (u, v) of dy[n, i, j, c]
//
// Of equal pixels the first in row-major order wins: the comparison is strict. A NaN beats every number and a later
// NaN an earlier one, as in PyTorch. A winner that is no place in the window passes nothing on.
//
// Backward by the winners' positions in the plane (indices) is a sum over those that name a pixel, wherever they stand.
// They come sorted (order): those of one pixel lie side by side, and the first of them adds them all up.
//
// Memory: everything channels last: x, dx (N, H, W, C); y, dy, winner, indices (N, oh, ow, C). By indices each plane is
//         flat: dx (N, pixels, C), dy, indices, order (N, cells, C); order[n, :, c] sorts indices[n, :, c], equal ones
//         in ascending order, and dx starts at 0.
// Who reads what: forward, one thread makes one output. Backward, one thread makes one number of dx: it asks the few
// windows that cover its pixel whether it won them. The other way round, from each output to its winner, overlapping
// windows would meet at a pixel and their order of addition would change from run to run. By indices, one thread has
// one place of the order; most add up one number or none. An index outside the plane is passed over.
#include "common.cuh"
#include "windows.cuh"

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
    REAL sum = 0;
    WINDOW_LOOP(i, u, kh, sh, ph, dh, oh) {
      const int a = tap_on(u, i, sh, ph, dh);
      if (a < 0) continue;
      WINDOW_LOOP(j, v, kw, sw, pw, dw, ow) {
        const int b = tap_on(v, j, sw, pw, dw);
        if (b < 0) continue;
        const idx_t from = (((idx_t)n * oh + i) * ow + j) * C + c;
        if (winner[from] == a * kw + b) sum += dy[from];
      }
    }
    dx[at] = sum;
  }
}

extern "C" __global__ void max_pool_indices_backward(const REAL* __restrict__ dy,
                                                     const long long* __restrict__ indices,
                                                     const long long* __restrict__ order, REAL* __restrict__ dx, int N,
                                                     int cells, int pixels, int C) {
  GRID_LOOP(at, (idx_t)N * cells * C) {
    const int c = at % C, n = at / C / cells;
    const idx_t plane = (idx_t)n * cells * C + c, end = plane + (idx_t)cells * C;
    const idx_t p = indices[plane + order[at] * C];
    const bool first = at < plane + C || indices[plane + order[at - C] * C] != p;
    if (!first || p < 0 || p >= pixels) continue;
    REAL sum = 0;
    for (idx_t next = at; next < end && indices[plane + order[next] * C] == p; next += C)
      sum += dy[plane + order[next] * C];
    dx[((idx_t)n * pixels + p) * C + c] = sum;
  }
}
