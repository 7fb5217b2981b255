// Transposed convolution, directly: no matrix of patches in between.
//
// Each input pixel lays a scaled copy of the kernel over the output: y[n, sh*u + dh*a - ph, sw*v + dw*b - pw, o] +=
// x[n, u, v, c] * weight[a, b, c, o]. Turned round, each output pixel gathers from the inputs whose copy reaches it:
//
//   y[n, i, j, o] = bias[o] + sum over c, u, v of x[n, u, v, c] * weight[(i + ph - sh*u)/dh, (j + pw - sw*v)/dw, c, o]
//                   over the inputs where both divisions leave no remainder, and the channels c of the group of o
//
// With the paper's kernels of size 2s only two values of u and two of v reach an output: four pixels, whatever the
// stride. This is why each output gathers: upsampling by 32 reads four taps for an output and not 64 x 64.
//
// An output_padding only makes oh and ow larger: the pixels at the end gather like all others.
//
// Memory: x (N, H, W, C), y (N, oh, ow, O), channels last; weight (kh, kw, C, O / groups); bias (O,) or a null pointer.
// Who reads what: one thread makes one output. Neighbours have neighbouring o: they read the same pixel of x (one read
// for the warp) and neighbouring weights.
#include "common.cuh"
#include "windows.cuh"

extern "C" __global__ void conv_transpose(const REAL* __restrict__ x, const REAL* __restrict__ weight,
                                          const REAL* __restrict__ bias, REAL* __restrict__ y, int N, int H, int W,
                                          int C, int O, int oh, int ow, int kh, int kw, int sh, int sw, int ph,
                                          int pw, int dh, int dw, int groups) {
  const int inputs = C / groups, outputs = O / groups;  // the channels of one group
  GRID_LOOP(at, (idx_t)N * oh * ow * O) {
    idx_t rest = at;
    const int o = rest % O;
    rest /= O;
    const int j = rest % ow;
    rest /= ow;
    const int i = rest % oh;
    const int n = rest / oh;
    REAL sum = bias ? bias[o] : 0;
    const int first = o / outputs * inputs;
    WINDOW_LOOP(u, i, kh, sh, ph, dh, H) {
      const int a = tap_on(i, u, sh, ph, dh);
      if (a < 0) continue;
      WINDOW_LOOP(v, j, kw, sw, pw, dw, W) {
        const int b = tap_on(j, v, sw, pw, dw);
        if (b < 0) continue;
        const REAL* pixel = x + (((idx_t)n * H + u) * W + v) * C + first;
        const REAL* taps = weight + (((idx_t)a * kw + b) * C + first) * outputs + o % outputs;
        for (int c = 0; c < inputs; ++c) sum += pixel[c] * taps[(idx_t)c * outputs];
      }
    }
    y[at] = sum;
  }
}
