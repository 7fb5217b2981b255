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
#include "common.cuh"
#include "windows.cuh"

extern "C" __global__ void col2im(const REAL* __restrict__ columns, REAL* __restrict__ x, int N, int H, int W, int C,
                                  int oh, int ow, int kh, int kw, int sh, int sw, int ph, int pw, int dh, int dw) {
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
        const idx_t row = ((idx_t)n * oh + i) * ow + j;
        sum += columns[((row * kh + a) * kw + b) * C + c];
      }
    }
    x[at] = sum;
  }
}
