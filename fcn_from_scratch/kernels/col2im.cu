// col2im: the transpose of im2col. Every number of the patch matrix is added to the pixel it would have come from.
//
//   x[n, sh*i + dh*a - ph, sw*j + dw*b - pw, c] += columns[(n, i, j), (a, b, c)]
//
// Written like that, threads would meet at a pixel and have to take turns (atomicAdd), in another order on every run.
// So each pixel gathers instead: it asks which outputs (i, j) have a tap (a, b) on it (windows.cuh).
//
//   x[n, u, v, c] = sum over i, j of columns[(n, i, j), ((u + ph - sh*i) / dh, (v + pw - sw*j) / dw, c)]
//                   over the windows that reach (u, v) and where both divisions leave no remainder
//
// Memory: columns (N * oh * ow, kh * kw * C); x (N, H, W, C), channels last.
// Who reads what: one thread makes one number of x, in a fixed order of additions; neighbours read neighbouring
// channels.
// Roofline: memory: each number of columns is read once. The divisions of windows.cuh are 32 bits wide, and there are
// few windows; the thread's own place is an odometer.
#include "common.cuh"
#include "odometer.cuh"
#include "windows.cuh"

extern "C" __global__ void col2im(const REAL* __restrict__ columns, REAL* __restrict__ x, int N, int H, int W, int C,
                                  int oh, int ow, int kh, int kw, int sh, int sw, int ph, int pw, int dh, int dw) {
  const int base[] = {C, W, H};
  const idx_t count = (idx_t)N * H * W * C, stride = (idx_t)gridDim.x * blockDim.x;
  idx_t at = (idx_t)blockIdx.x * blockDim.x + threadIdx.x;
  int place[4], step[4];  // c, v, u, n
  split<4>(at, base, place);
  split<4>(stride, base, step);
  for (; at < count; at += stride) {
    REAL sum = 0;
    WINDOW_LOOP(i, place[2], kh, sh, ph, dh, oh) {
      const int a = tap_on(place[2], i, sh, ph, dh);
      if (a < 0) continue;
      WINDOW_LOOP(j, place[1], kw, sw, pw, dw, ow) {
        const int b = tap_on(place[1], j, sw, pw, dw);
        if (b < 0) continue;
        const idx_t row = ((idx_t)place[3] * oh + i) * ow + j;
        sum += columns[((row * kh + a) * kw + b) * C + place[0]];
      }
    }
    x[at] = sum;
    advance<4>(place, step, base);
  }
}
