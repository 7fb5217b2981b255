// Transposed convolution, directly: no matrix of patches in between.
//
// Each input pixel lays a scaled copy of the kernel over the output: y[n, sh*u + a - ph, sw*v + b - pw, o] +=
// x[n, u, v, c] * weight[a, b, c, o]. Turned round, each output pixel gathers from the inputs whose copy reaches it:
//
//   y[n, i, j, o] = bias[o] + sum over c, u, v of x[n, u, v, c] * weight[i + ph - sh*u, j + pw - sw*v, c, o]
//
// With the paper's kernels of size 2s only two values of u and two of v reach an output: four pixels, whatever the
// stride. This is why each output gathers: upsampling by 32 reads four taps for an output and not 64 x 64.
//
// Memory: x (N, H, W, C), y (N, oh, ow, O), channels last; weight (kh, kw, C, O); bias (O,) or a null pointer.
// Who reads what: one thread makes one output. Neighbours have neighbouring o: they read the same pixel of x (one read
// for the warp) and neighbouring weights.
#include "common.cuh"
#include "windows.cuh"

extern "C" __global__ void conv_transpose(const REAL* __restrict__ x, const REAL* __restrict__ weight,
                                          const REAL* __restrict__ bias, REAL* __restrict__ y, int N, int H, int W,
                                          int C, int O, int oh, int ow, int kh, int kw, int sh, int sw, int ph,
                                          int pw) {
  GRID_LOOP(at, (idx_t)N * oh * ow * O) {
    idx_t rest = at;
    const int o = rest % O;
    rest /= O;
    const int j = rest % ow;
    rest /= ow;
    const int i = rest % oh;
    const int n = rest / oh;
    REAL sum = bias ? bias[o] : 0;
    WINDOW_LOOP(u, i, kh, sh, ph, 1, H)
      WINDOW_LOOP(v, j, kw, sw, pw, 1, W) {
        const int a = i + ph - sh * u, b = j + pw - sw * v;
        const REAL* pixel = x + (((idx_t)n * H + u) * W + v) * C;
        const REAL* taps = weight + ((idx_t)a * kw + b) * C * O + o;
        for (int c = 0; c < C; ++c) sum += pixel[c] * taps[(idx_t)c * O];
      }
    y[at] = sum;
  }
}
