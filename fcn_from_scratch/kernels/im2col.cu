// im2col: copy the pixels below each output pixel into one row of a matrix. Convolution is then a product of matrices.
//
//   patches[(n, i, j), (a, b, c)] = x[n, sh*i + dh*a - ph, sw*j + dw*b - pw, c]      0 where that is outside the image
//
// for output rows i = first .. first + rows - 1: a large image is done in bands, so that the matrix, kh*kw times the
// image, need not exist as a whole.
//
// Memory: x (N, H, W, C), channels last; patches (N * rows * ow, kh * kw * C).
// Who reads what: one thread copies one number. Neighbouring threads have neighbouring channels, so a warp reads 32
// numbers in a row and writes 32 in a row. Each pixel is read kh*kw times; the cache serves all but the first.
#include "common.cuh"

extern "C" __global__ void im2col(const REAL* __restrict__ x, REAL* __restrict__ patches, int N, int H, int W, int C,
                                  int first, int rows, int ow, int kh, int kw, int sh, int sw, int ph, int pw, int dh,
                                  int dw) {
  GRID_LOOP(at, (idx_t)N * rows * ow * kh * kw * C) {
    idx_t rest = at;
    const int c = rest % C;
    rest /= C;
    const int b = rest % kw;
    rest /= kw;
    const int a = rest % kh;
    rest /= kh;
    const int j = rest % ow;
    rest /= ow;
    const int i = rest % rows + first;
    const int n = rest / rows;
    const int u = sh * i + dh * a - ph, v = sw * j + dw * b - pw;
    const bool inside = 0 <= u && u < H && 0 <= v && v < W;
    patches[at] = inside ? x[(((idx_t)n * H + u) * W + v) * C + c] : 0;
  }
}
