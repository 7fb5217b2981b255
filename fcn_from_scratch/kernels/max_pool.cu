// Max-pooling: the largest pixel of each window, and where it stood; backward, the gradient goes to that pixel alone.
//
//   y[n, i, j, c] = max over a, b of x[n, sh*i + dh*a - ph, sw*j + dw*b - pw, c]        (padding never wins)
//   winner[n, i, j, c] = a*kw + b of that pixel: its place in the window, one byte
//   dx[n, u, v, c] = sum over the windows (i, j) whose winner is (u, v) of dy[n, i, j, c]
//
// Of equal pixels the first in row-major order wins: the comparison is strict. A NaN beats every number and a later
// NaN an earlier one, as in PyTorch. A winner that is no place in the window passes nothing on.
//
// With relu, y is max(y, 0), and where that is 0 (or a NaN) kh*kw is added to the winner: it is then no place in the
// window, so the same backward is that of pool and ReLU together. ReLU before the pool or after it is the same, but
// after it there are a quarter as many numbers.
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
// Roofline: memory alone: for a 2x2 pool in float32 4 numbers are read for each number and each byte that is written,
// 21 bytes, or about 150 instructions of an H200. Forward and backward divide once a thread (odometer.cuh).
#include "common.cuh"
#include "odometer.cuh"
#include "windows.cuh"

extern "C" __global__ void max_pool(const REAL* __restrict__ x, REAL* __restrict__ y,
                                    unsigned char* __restrict__ winner, int N, int H, int W, int C, int oh, int ow,
                                    int kh, int kw, int sh, int sw, int ph, int pw, int dh, int dw, int relu) {
  const int base[] = {C, ow, oh};
  const idx_t count = (idx_t)N * oh * ow * C, stride = (idx_t)gridDim.x * blockDim.x;
  idx_t at = (idx_t)blockIdx.x * blockDim.x + threadIdx.x;
  int place[4], step[4];  // c, j, i, n
  split<4>(at, base, place);
  split<4>(stride, base, step);
  for (; at < count; at += stride) {
    const REAL* image = x + (idx_t)place[3] * H * W * C + place[0];
    int best_place = -1;
    REAL best = 0;
    for (int a = 0; a < kh; ++a) {
      const int u = sh * place[2] + dh * a - ph;
      if (u < 0 || u >= H) continue;
      for (int b = 0; b < kw; ++b) {
        const int v = sw * place[1] + dw * b - pw;
        if (v < 0 || v >= W) continue;
        const REAL value = image[((idx_t)u * W + v) * C];
        if (best_place < 0 || value > best || value != value) {
          best_place = a * kw + b;
          best = value;
        }
      }
    }
    y[at] = relu && best <= 0 ? 0 : best;
    winner[at] = relu && !(best > 0) ? best_place + kh * kw : best_place;
    advance<4>(place, step, base);
  }
}

extern "C" __global__ void max_pool_backward(const REAL* __restrict__ dy, const unsigned char* __restrict__ winner,
                                             REAL* __restrict__ dx, int N, int H, int W, int C, int oh, int ow, int kh,
                                             int kw, int sh, int sw, int ph, int pw, int dh, int dw) {
  const int base[] = {C, W, H};
  const idx_t count = (idx_t)N * H * W * C, stride = (idx_t)gridDim.x * blockDim.x;
  idx_t at = (idx_t)blockIdx.x * blockDim.x + threadIdx.x;
  int place[4], step[4];  // c, v, u, n
  split<4>(at, base, place);
  split<4>(stride, base, step);
  for (; at < count; at += stride) {
    const idx_t image = (idx_t)place[3] * oh * ow;
    REAL sum = 0;
    WINDOW_LOOP(i, place[2], kh, sh, ph, dh, oh) {
      const int a = tap_on(place[2], i, sh, ph, dh);
      if (a < 0) continue;
      WINDOW_LOOP(j, place[1], kw, sw, pw, dw, ow) {
        const int b = tap_on(place[1], j, sw, pw, dw);
        if (b < 0) continue;
        const idx_t from = (image + (idx_t)i * ow + j) * C + place[0];
        if (winner[from] == a * kw + b) sum += dy[from];
      }
    }
    dx[at] = sum;
    advance<4>(place, step, base);
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
