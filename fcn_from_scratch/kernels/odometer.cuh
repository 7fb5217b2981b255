// Which number of a map is mine? The answer is a division for every axis, and a GPU has no instruction that divides:
// one division of 32-bit numbers is about twenty instructions, one of 64-bit numbers about seventy. So a thread divides
// once, for its first number. From there it goes on like the counter of a car: add the step, digit by digit, with a
// carry.
//
// A place is written in DIGITS digits, the fastest first; base[k] is how many values digit k has. The last digit has no
// end. A digit and its step are each below their base, so the carry is 0 or 1, and nothing is divided. Bases are below
// 2^30, so that a sum of two digits fits into an int.
#pragma once

template <int DIGITS, class number>
__device__ void split(number at, const int* base, int* digit) {
#pragma unroll
  for (int k = 0; k < DIGITS - 1; ++k) {
    digit[k] = at % base[k];
    at /= base[k];
  }
  digit[DIGITS - 1] = at;
}

template <int DIGITS>
__device__ void advance(int* digit, const int* step, const int* base) {
  int carry = 0;
#pragma unroll
  for (int k = 0; k < DIGITS - 1; ++k) {
    digit[k] += step[k] + carry;
    carry = digit[k] >= base[k];
    if (carry) digit[k] -= base[k];
  }
  digit[DIGITS - 1] += step[DIGITS - 1] + carry;
}
