// Strips of patches and filters, loaded straight from a picture and a weight: what the implicit GEMMs share.
//
// A block makes a tile of TILE x TILE results and walks along k = (a, b, c) in strips of STRIP. For each strip every
// one of its 256 threads loads RUN numbers of one pixel's patch and RUN of one filter, side by side in memory, and
// stores them with k as the slow axis: strip[k][pixel].
//
// PITCH is the length of a row of a strip in shared memory, which each kernel chooses by how it reads.
#pragma once

#define TILE 128
#define STRIP 8
#define RUN 4  // numbers side by side

// RUN numbers, 16 bytes at a time.
__device__ void copy_run(const REAL* from, REAL* to) {
  const int each = 16 / sizeof(REAL);
#pragma unroll
  for (int e = 0; e < RUN; e += each) *(Pack*)(to + e) = *(const Pack*)(from + e);
}

struct Tap {
  int c, b, a;
};

__device__ void go_on(Tap& tap, int by, int C, int kw) {
  tap.c += by;
  while (tap.c >= C) {
    tap.c -= C;
    if (++tap.b == kw) {
      tap.b = 0;
      ++tap.a;
    }
  }
}

// The image of one output pixel, and where its window begins.
struct Window {
  const REAL* image;
  int u, v, H, W, C, dh, dw, kh, kw;
};

__device__ const REAL* find(const Window& window, const Tap& tap) {
  const int u = window.u + window.dh * tap.a, v = window.v + window.dw * tap.b;
  const bool inside = window.image && tap.a < window.kh && 0 <= u && u < window.H && 0 <= v && v < window.W;
  return inside ? window.image + ((idx_t)u * window.W + v) * window.C + tap.c : 0;
}

// RUN numbers of the patch from `tap` on. Beyond its end, tap.a is kh, they are 0.
__device__ void load_patch(const Window& window, Tap tap, REAL* run) {
#if PACKED
  const REAL* from = find(window, tap);
  if (from) copy_run(from, run);
#pragma unroll
  for (int e = 0; e < RUN; ++e) run[e] = from ? run[e] : 0;
#else
#pragma unroll
  for (int e = 0; e < RUN; ++e, go_on(tap, 1, window.C, window.kw)) {
    const REAL* from = find(window, tap);
    run[e] = from ? *from : 0;
  }
#endif
}

// RUN numbers of a filter from k on; 0 beyond K, or if there is no such filter.
__device__ void load_filter(const REAL* filter, int k, int K, REAL* run) {
#if PACKED
  if (filter && k < K) copy_run(filter + k, run);
#pragma unroll
  for (int e = 0; e < RUN; ++e) run[e] = filter && k < K ? run[e] : 0;
#else
#pragma unroll
  for (int e = 0; e < RUN; ++e) run[e] = filter && k + e < K ? filter[k + e] : 0;
#endif
}

__device__ void store_run(const REAL* run, REAL (*strip)[PITCH], int k, int at) {
#pragma unroll
  for (int e = 0; e < RUN; ++e) strip[k + e][at] = run[e];
}
