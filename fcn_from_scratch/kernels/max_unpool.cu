// Max-unpooling: every pooled value goes back to where its maximum stood, everything else is zero.
//
//   y[n, p, c] = x[n, q, c]   with indices[n, q, c] == p; where two cells q name one pixel p, the last one stays
//   dx[n, q, c] = dy[n, indices[n, q, c], c]
//
// Two steps. First each cell signs its number q at the pixel it names, and the largest number stays (owner). Then each
// pixel fetches the value of the cell that signed. atomicMax on integers gives the same result in any order, which a
// plain write of floating-point values would not.
//
// Memory: channels last, each plane flat: x, dx, indices (N, cells, C); y, dy, owner (N, pixels, C).
//         owner starts at -1.
// Who reads what: one thread a cell, then one thread a pixel. An index outside the plane is passed over: no thread
// writes where it must not, whatever the indices say.
#include "common.cuh"

extern "C" __global__ void max_unpool_owner(const long long* __restrict__ indices, int* __restrict__ owner, int N,
                                            int cells, int pixels, int C) {
  GRID_LOOP(at, (idx_t)N * cells * C) {
    const int c = at % C, q = at / C % cells, n = at / C / cells;
    const idx_t p = indices[at];
    if (0 <= p && p < pixels) atomicMax(&owner[((idx_t)n * pixels + p) * C + c], q);
  }
}

extern "C" __global__ void max_unpool(const REAL* __restrict__ x, const int* __restrict__ owner, REAL* __restrict__ y,
                                      int N, int cells, int pixels, int C) {
  GRID_LOOP(at, (idx_t)N * pixels * C) {
    const int c = at % C, n = at / C / pixels;
    const int q = owner[at];
    y[at] = q < 0 ? 0 : x[((idx_t)n * cells + q) * C + c];
  }
}

extern "C" __global__ void max_unpool_backward(const REAL* __restrict__ dy, const long long* __restrict__ indices,
                                               REAL* __restrict__ dx, int N, int cells, int pixels, int C) {
  GRID_LOOP(at, (idx_t)N * cells * C) {
    const int c = at % C, n = at / C / cells;
    const idx_t p = indices[at];
    dx[at] = 0 <= p && p < pixels ? dy[((idx_t)n * pixels + p) * C + c] : 0;
  }
}
