// Which windows cover a pixel: the question a gather asks where a scatter would have written.
//
// Along one axis the tap a = 0 .. k-1 of window i lies on pixel u = s*i + d*a - p. Turned round: WINDOW_LOOP goes
// through the windows i that reach pixel u, in ascending order, and tap_on says with which tap, if any.
//
// Windows of pooling and convolution are laid over the image, so u is a pixel of it. A transposed convolution lays its
// kernel over the output for each pixel of the input: then u is a pixel of the output, and the windows are the input.
#pragma once

__device__ int first_window(int u, int k, int s, int p, int d) {
  const int beyond = u + p - d * (k - 1);  // the last tap of window 0 falls short of u by as much
  return beyond > 0 ? (beyond + s - 1) / s : 0;
}

__device__ int last_window(int u, int s, int p, int windows) {
  const int last = (u + p) / s;
  return last < windows ? last : windows - 1;
}

// The tap of window i that lies on u, or -1: u lies between two taps of a dilated window.
__device__ int tap_on(int u, int i, int s, int p, int d) {
  const int from_first = u + p - s * i;
  return from_first % d == 0 ? from_first / d : -1;
}

// Not unrolled: windows are few, and four rounds at once would take half as many registers again.
#define WINDOW_LOOP(i, u, k, s, p, d, windows) \
  _Pragma("unroll 1")                          \
  for (int i = first_window(u, k, s, p, d), i##_last = last_window(u, s, p, windows); i <= i##_last; ++i)
