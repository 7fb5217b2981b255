// Shift-and-stitch: put the coarse map of one pass in its places on the fine grid.
//
//   fine[n, sh*i + a, sw*j + b, c] = coarse[n, i, j, c]
//
// One launch for each of the sh*sw shifts (a, b): together they write every pixel of the fine map exactly once.
//
// Memory: channels last: coarse (N, h, w, C), fine (N, H, W, C) with sh*(h - 1) + a < H and likewise for the width.
// Who reads what: one thread copies one number; a pixel's channels are one run of memory on either side.
#include "common.cuh"

extern "C" __global__ void interlace(const REAL* __restrict__ coarse, REAL* __restrict__ fine, int N, int h, int w,
                                     int C, int H, int W, int sh, int sw, int a, int b) {
  GRID_LOOP(at, (idx_t)N * h * w * C) {
    idx_t rest = at;
    const int c = rest % C;
    rest /= C;
    const int j = rest % w;
    rest /= w;
    const int i = rest % h;
    const int n = rest / h;
    fine[(((idx_t)n * H + sh * i + a) * W + sw * j + b) * C + c] = coarse[at];
  }
}
