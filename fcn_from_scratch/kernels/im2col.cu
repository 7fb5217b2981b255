// im2col: copy the pixels below each output pixel into one row of a matrix. Convolution is then a product of matrices.
//
//   patches[(n, i, j), (a, b, c)] = x[n, sh*i + dh*a - ph, sw*j + dw*b - pw, c]      0 where that is outside the image
//
// for output rows i = first .. first + rows - 1: a large image is done in bands, so that the matrix, kh*kw times the
// image, need not exist as a whole. The border of zeros is never in memory: it is the 0 of the equation above.
//
// Memory: x (N, H, W, C), channels last; patches (N * rows * ow, kh * kw * C).
// Who reads what: one thread copies one unit after another: a number, or with -DPACKED=1 a run of 16 bytes, where C
// allows it. Neighbouring threads have neighbouring channels, so a warp reads 32 units in a row and writes 32 in a row.
// Each pixel is read kh*kw times; the cache serves all but the first.
// Roofline: nothing is computed, so the memory decides: kh*kw numbers are written for each number of the image that is
// read. In the time in which its memory writes a float, an H200 does about 30 instructions; in that of a pack, 120.
// Five divisions for each number, as this kernel had them at first, take 200. So the divisions were its time, not the
// memory. Now the thread's place is an odometer (odometer.cuh).
// Variants: INDEX is long long, or int where every index fits; PACKED. kernels.im2col chooses.
#include "common.cuh"
#include "odometer.cuh"

#ifndef INDEX
#define INDEX idx_t
#endif
#if PACKED
typedef Pack unit;
#else
typedef REAL unit;
#endif

extern "C" __global__ void im2col(const REAL* __restrict__ x, REAL* __restrict__ patches, int N, int H, int W, int C,
                                  int first, int rows, int ow, int kh, int kw, int sh, int sw, int ph, int pw, int dh,
                                  int dw) {
  const unit* __restrict__ from = (const unit*)x;
  unit* __restrict__ to = (unit*)patches;
  const int units = C / (int)(sizeof(unit) / sizeof(REAL));
  const int base[] = {units, kw, kh, ow, rows};
  const INDEX count = (INDEX)N * rows * ow * kh * kw * units, stride = (INDEX)gridDim.x * blockDim.x;
  INDEX at = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
  int place[6], step[6];  // c, b, a, j, i, n
  split<6>(at, base, place);
  split<6>(stride, base, step);
  for (; at < count; at += stride) {
    const int u = sh * (first + place[4]) + dh * place[2] - ph, v = sw * place[3] + dw * place[1] - pw;
    const bool inside = 0 <= u && u < H && 0 <= v && v < W;
    to[at] = inside ? from[(((INDEX)place[5] * H + u) * W + v) * units + place[0]] : unit{};
    advance<6>(place, step, base);
  }
}
