// Which windows cover a pixel? A kernel that gathers instead of scattering must know this.
//
// Along one axis the tap a = 0 .. k-1 of window i lies on pixel u = s*i + d*a - p. WINDOW_LOOP goes the other way: it
// visits the windows i that reach pixel u, in ascending order, and tap_on says which of the window's taps lies there.
//
// Windows of pooling and convolution are laid over the image, so u is a pixel of the image. A transposed convolution
// lays its kernel over the output once for each input pixel: u is then a pixel of the output, and i one of the input.
#pragma once

__device__ int first_window(int u, int k, int s, int p, int d) {
  const int beyond = u + p - d * (k - 1);  // how far u lies beyond the last tap of window 0
  return beyond > 0 ? (beyond + s - 1) / s : 0;
}

__device__ int last_window(int u, int s, int p, int windows) {
  const int last = (u + p) / s;
  return last < windows ? last : windows - 1;
}

// The tap of window i that lies on u, or -1 when u lies between two taps of a dilated window.
__device__ int tap_on(int u, int i, int s, int p, int d) {
  const int from_first = u + p - s * i;
  return from_first % d == 0 ? from_first / d : -1;
}

// The loop is not unrolled: there are few windows, and four rounds at once would need half as many registers again.
#define WINDOW_LOOP(i, u, k, s, p, d, windows) \
  _Pragma("unroll 1")                          \
  for (int i = first_window(u, k, s, p, d), i##_last = last_window(u, s, p, windows); i <= i##_last; ++i)
