// col2im: the transpose of im2col. Every number of the patch matrix is added to the pixel it would have come from.
//
//   x[n, sh*i + dh*a - ph, sw*j + dw*b - pw, c] += columns[(n, i, j), (a, b, c)]
//
// Written like that, threads would meet at a pixel and have to take turns (atomicAdd), in another order on every run.
// So each pixel gathers instead: it asks which outputs (i, j) and taps (a, b) point at it.
//
//   x[n, u, v, c] = sum over a, b of columns[(n, (u + ph - dh*a) / sh, (v + pw - dw*b) / sw), (a, b, c)]
//                   over the taps where both divisions leave no remainder and give an output that exists
//
// Memory: columns (N * oh * ow, kh * kw * C); x (N, H, W, C), channels last.
// Who reads what: one thread makes one number of x, in a fixed order of additions; neighbours read neighbouring
// channels.
#include "common.cuh"

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
    for (int a = 0; a < kh; ++a) {
      const int down = u + ph - dh * a;
      if (down < 0 || down % sh != 0 || down / sh >= oh) continue;
      for (int b = 0; b < kw; ++b) {
        const int right = v + pw - dw * b;
        if (right < 0 || right % sw != 0 || right / sw >= ow) continue;
        const idx_t row = ((idx_t)n * oh + down / sh) * ow + right / sw;
        sum += columns[((row * kh + a) * kw + b) * C + c];
      }
    }
    x[at] = sum;
  }
}
