// Dropout's mask, with the very random numbers that NumPy's default generator would draw on the host.
//
//   mask[i] = [r_i >= p]        r_i the i-th number of Generator.random(dtype=float32)
//
// A thread must get r_i without computing the i - 1 numbers before it. NumPy's PCG64 allows that: its state moves by
//
//   state <- state * MULTIPLIER + increment        (mod 2^128)
//
// and j such moves in one are again of the form state * m + c. Moving by 1, 2, 4, 8, ... gives (m, c) by squaring, and
// the binary digits of j say which of them to apply: about 30 steps for a billionth number. So the generator can be
// read at any counter, the mask does not depend on the grid, no mask is copied from the host, and CPU and GPU drop the
// same values. The host moves its own generator on by as many numbers (kernels/random.py), and a checkpoint of it
// resumes bit for bit.
//
// Each move gives 64 bits, of which a float32 takes 32, the low half first; a number is its upper 24 bits / 2^24. If
// an odd number was drawn before, `saved` holds the half that was left over, and it comes first.
//
// Memory: mask (count,), one byte each; x, y (N, pixels, C). State and increment are pairs of 64-bit numbers, high and
//         low.
// Who reads what: one thread writes a run of RUN numbers: it jumps once, then moves step by step.
// Source: O'Neill 2014 (PCG, XSL-RR 128/64); Brown 1994 (arbitrary strides).
#include "common.cuh"

#define RUN 16

struct Wide {  // a number of 128 bits
  unsigned long long high, low;
};

__device__ Wide add(Wide a, Wide b) {
  Wide sum = {a.high + b.high, a.low + b.low};
  sum.high += sum.low < a.low;  // the carry
  return sum;
}

__device__ Wide multiply(Wide a, Wide b) {
  return {__umul64hi(a.low, b.low) + a.high * b.low + a.low * b.high, a.low * b.low};
}

__device__ Wide multiplier() { return {0x2360ED051FC65DA4ULL, 0x4385DF649FCCF645ULL}; }

// The state after `moves` moves.
__device__ Wide jump(Wide state, Wide increment, unsigned long long moves) {
  Wide m = multiplier(), c = increment;
  for (; moves > 0; moves /= 2) {
    if (moves % 2) state = add(multiply(state, m), c);
    c = add(multiply(c, m), c);  // twice the move: (state * m + c) * m + c
    m = multiply(m, m);
  }
  return state;
}

// The 64 bits a state stands for: both halves folded together, then turned by the top six bits.
__device__ unsigned long long output(Wide state) {
  const unsigned long long folded = state.high ^ state.low;
  const unsigned turn = state.high >> 58;
  return folded >> turn | folded << (64 - turn) % 64;
}

extern "C" __global__ void dropout_mask(bool* __restrict__ mask, long long count, float p,
                                        unsigned long long state_high, unsigned long long state_low,
                                        unsigned long long increment_high, unsigned long long increment_low,
                                        int has_saved, unsigned saved) {
  const Wide start = {state_high, state_low}, increment = {increment_high, increment_low};
  GRID_LOOP(run, (count + RUN - 1) / RUN) {
    const idx_t first = run * RUN, stop = first + RUN < count ? first + RUN : count;
    Wide state = start;
    idx_t moves = -1;  // the state stands for none of the numbers yet
    for (idx_t i = first; i < stop; ++i) {
      unsigned bits = saved;
      if (i > 0 || !has_saved) {
        const idx_t half = i - has_saved, needed = half / 2 + 1;
        if (moves < 0)
          state = jump(start, increment, needed);
        else if (moves < needed)
          state = add(multiply(state, multiplier()), increment);
        moves = needed;
        bits = output(state) >> (half % 2 ? 32 : 0);
      }
      mask[i] = (bits >> 8) * (1.0f / 16777216.0f) >= p;
    }
  }
}

// y[n, pixel, c] = x[n, pixel, c] * scale where the mask keeps, * 0 where it drops. x is channels last; the mask lies
// as it was drawn, (N, C, pixels), or (N, C) for whole channels.
extern "C" __global__ void dropout(const REAL* __restrict__ x, const bool* __restrict__ mask, REAL* __restrict__ y,
                                   int N, int pixels, int C, int by_channel, REAL scale) {
  GRID_LOOP(at, (idx_t)N * pixels * C) {
    const idx_t n = at / C / pixels, channel = n * C + at % C;
    const bool keep = by_channel ? mask[channel] : mask[channel * pixels + at / C % pixels];
    y[at] = x[at] * (keep ? scale : 0);
  }
}
