// Average pooling: the mean of each window; backward, every pixel gets its share of each window that covers it.
//
//   y[n, i, j, c] = sum over the window's pixels of x[n, u, v, c] / count(i, j)
//   dx[n, u, v, c] = sum over the windows that cover (u, v) of dy[n, i, j, c] / count(i, j)
//
// count is the window's pixels in the image and, with include_pad, in the padding; what hangs over the padding's edge
// (ceil mode) never counts.
//
// Memory: channels last: x, dx (N, H, W, C); y, dy (N, oh, ow, C).
// Who reads what: one thread makes one output; backward, one number of dx (gathering: no two threads add to one place).
#include "common.cuh"
#include "windows.cuh"

// Window i of an axis covers the pixels begin .. end - 1 and divides by `count`.
struct Window {
  int begin, end, count;
};

__device__ Window window(int i, int size, int k, int s, int p, int include_pad) {
  const int start = s * i - p;
  const int stop = start + k < size + p ? start + k : size + p;
  Window w;
  w.begin = start > 0 ? start : 0;
  w.end = stop < size ? stop : size;
  w.count = include_pad ? stop - start : w.end - w.begin;
  return w;
}

extern "C" __global__ void avg_pool(const REAL* __restrict__ x, REAL* __restrict__ y, int N, int H, int W, int C,
                                    int oh, int ow, int kh, int kw, int sh, int sw, int ph, int pw, int include_pad) {
  GRID_LOOP(at, (idx_t)N * oh * ow * C) {
    idx_t rest = at;
    const int c = rest % C;
    rest /= C;
    const int j = rest % ow;
    rest /= ow;
    const int i = rest % oh;
    const int n = rest / oh;
    const Window rows = window(i, H, kh, sh, ph, include_pad), columns = window(j, W, kw, sw, pw, include_pad);
    REAL sum = 0;
    for (int u = rows.begin; u < rows.end; ++u)
      for (int v = columns.begin; v < columns.end; ++v) sum += x[(((idx_t)n * H + u) * W + v) * C + c];
    y[at] = sum / ((REAL)rows.count * columns.count);
  }
}

extern "C" __global__ void avg_pool_backward(const REAL* __restrict__ dy, REAL* __restrict__ dx, int N, int H, int W,
                                             int C, int oh, int ow, int kh, int kw, int sh, int sw, int ph, int pw,
                                             int include_pad) {
  GRID_LOOP(at, (idx_t)N * H * W * C) {
    idx_t rest = at;
    const int c = rest % C;
    rest /= C;
    const int v = rest % W;
    rest /= W;
    const int u = rest % H;
    const int n = rest / H;
    REAL sum = 0;
    WINDOW_LOOP(i, u, kh, sh, ph, 1, oh)
      WINDOW_LOOP(j, v, kw, sw, pw, 1, ow) {
        const Window rows = window(i, H, kh, sh, ph, include_pad), columns = window(j, W, kw, sw, pw, include_pad);
        sum += dy[(((idx_t)n * oh + i) * ow + j) * C + c] / ((REAL)rows.count * columns.count);
      }
    dx[at] = sum;
  }
}
