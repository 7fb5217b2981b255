// What the implicit GEMMs share: a product of two matrices of which one, the patches, is read from the picture.
//
// A block makes a tile of TILE x TILE results, row by row of a left factor and column by column of a right one. It
// walks along their common axis in strips of STRIP. Each of its 256 threads loads RUN numbers of either factor's strip,
// side by side in memory, and puts them into shared memory with the common axis as the slow one: left[k][row] and
// right[k][column].
//
// A kernel says what is loaded: in its Source, with the functions load, store and go_on. A tile says how two strips are
// multiplied (tile.cuh, tile_tf32x3.cuh): with the functions add and write.
#pragma once

#define TILE 128
#define STRIP 8
#define RUN 4  // numbers side by side

// RUN numbers, 16 bytes at a time.
template <class number>
__device__ void copy_run(const number* from, number* to) {
  const int each = 16 / sizeof(number);
  struct alignas(16) Bytes {
    number at[each];
  };
#pragma unroll
  for (int e = 0; e < RUN; e += each) *(Bytes*)(to + e) = *(const Bytes*)(from + e);
}

struct Convolution {
  int N, H, W, C, F, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw;
};

// The place of a number in a patch.
struct Tap {
  int c, b, a;
};

__device__ void go_on(Tap& tap, int by, const Convolution& conv) {
  tap.c += by;
  while (tap.c >= conv.C) {
    tap.c -= conv.C;
    if (++tap.b == conv.kw) {
      tap.b = 0;
      ++tap.a;
    }
  }
}

// Where the window of an output pixel begins, and in which image: 0 if there is no such pixel.
template <class number>
struct Window {
  const number* image;
  int u, v;
};

template <class number>
__device__ const number* find(const Convolution& conv, const Window<number>& window, const Tap& tap) {
  const int u = window.u + conv.dh * tap.a, v = window.v + conv.dw * tap.b;
  const bool inside = window.image && tap.a < conv.kh && 0 <= u && u < conv.H && 0 <= v && v < conv.W;
  return inside ? window.image + ((idx_t)u * conv.W + v) * conv.C + tap.c : 0;
}

// RUN numbers of the patch from `tap` on; 0 in the padding, and beyond the patch, where tap.a is kh.
template <class number>
__device__ void load_patch(const Convolution& conv, const Window<number>& window, Tap tap, number* run) {
#if PACKED
  const number* from = find(conv, window, tap);
  if (from) copy_run(from, run);
#pragma unroll
  for (int e = 0; e < RUN; ++e) run[e] = from ? run[e] : 0;
#else
#pragma unroll
  for (int e = 0; e < RUN; ++e, go_on(tap, 1, conv)) {
    const number* from = find(conv, window, tap);
    run[e] = from ? *from : 0;
  }
#endif
}

// RUN numbers of a row from its column k on; 0 beyond its K columns. K is 0 if there is no such row.
template <class number>
__device__ void load_row(const number* row, int k, int K, number* run) {
#if PACKED
  if (k < K) copy_run(row + k, run);
#pragma unroll
  for (int e = 0; e < RUN; ++e) run[e] = k < K ? run[e] : 0;
#else
#pragma unroll
  for (int e = 0; e < RUN; ++e) run[e] = k + e < K ? row[k + e] : 0;
#endif
}

// RUN results of a row from column `at` on.
template <class number>
__device__ void write_run(const number* sum, const number* bias, number* row, int at, int columns, int relu) {
  alignas(16) number run[RUN];
#pragma unroll
  for (int e = 0; e < RUN; ++e) {
    const number value = sum[e] + (bias && at + e < columns ? bias[at + e] : 0);
    run[e] = relu && value <= 0 ? 0 : value;
  }
#if PACKED
  if (columns % RUN == 0) {
    if (at < columns) copy_run(run, row + at);
    return;
  }
#endif
#pragma unroll
  for (int e = 0; e < RUN; ++e)
    if (at + e < columns) row[at + e] = run[e];
}

// Add up all strips of a tile. There are two buffers: while the block multiplies one strip, the loads of the next are
// under way, and go into the other buffer. So one barrier a strip is enough.
template <class Tile, class Source>
__device__ void add_up(Tile& tile, Source& source, int strips) {
  alignas(16) __shared__ typename Tile::number left[2][STRIP][Tile::PITCH], right[2][STRIP][Tile::PITCH];
  load(source);
  store(source, left[0], right[0]);
  __syncthreads();  // the first strip is complete
  for (int now = 0; strips > 0; now = 1 - now) {
    const bool more = --strips > 0;
    if (more) {
      go_on(source);
      load(source);
    }
    add(tile, left[now], right[now]);
    if (more) store(source, left[1 - now], right[1 - now]);
    __syncthreads();  // nobody reads this buffer any more, and the other one is complete
  }
}
