// Softmax and cross-entropy in one kernel: the loss of every pixel and its gradient.
//
//   loss = sum over pixels of v * (log(sum over c of exp(s[c])) - s[label]) / D
//   dscores[c] = v * (softmax(s)[c] - [c == label]) / D
//
// v is the pixel's weight, class_weight[label] * mask, and 0 where the label is `ignore`; D is the sum of all v
// (mean) or 1. A pixel with v = 0 is left out by selection, so that a NaN under it does not come through 0 * NaN.
//
// D must be known before the first gradient is written, so there are two kernels and a second stage (sum_partials)
// after each: weights -> D; scores -> loss and gradient. Sums are in double whatever REAL is.
//
// Memory: scores, dscores (pixels, C), channels last; labels, mask (pixels,); class_weight (C,); the last two may be
// null pointers. partials: one row a block.
// Who reads what: one thread has a pixel and reads its C scores three times: for their maximum, for the sum of the
// exponentials, and to write the gradient. A pixel's scores lie side by side, so the cache serves the second and third.
#include "common.cuh"
#include "reduce.cuh"

__device__ bool out_of_range(long long label, int C, long long ignore) {
  return label != ignore && (label < 0 || label >= C);
}

__device__ REAL pixel_weight(idx_t pixel, long long label, const REAL* class_weight, const REAL* mask, int C,
                             long long ignore) {
  if (label == ignore || out_of_range(label, C, ignore)) return 0;
  const REAL weight = class_weight ? class_weight[label] : 1;
  return mask ? weight * mask[pixel] : weight;
}

// partials[block] = (sum of v, number of labels that are neither a class nor `ignore`)
extern "C" __global__ void pixel_weights(const long long* __restrict__ labels, const REAL* __restrict__ class_weight,
                                         const REAL* __restrict__ mask, double* __restrict__ partials, long long pixels,
                                         int C, long long ignore) {
  double weight = 0, wrong = 0;
  GRID_LOOP(pixel, pixels) {
    weight += pixel_weight(pixel, labels[pixel], class_weight, mask, C, ignore);
    wrong += out_of_range(labels[pixel], C, ignore);
  }
  weight = block_sum(weight);
  wrong = block_sum(wrong);
  if (threadIdx.x == 0) {
    partials[2 * blockIdx.x] = weight;
    partials[2 * blockIdx.x + 1] = wrong;
  }
}

// partials[block] = the block's part of the loss; totals[0] = the sum of v, which `mean` divides by
extern "C" __global__ void softmax_cross_entropy(const REAL* __restrict__ scores, const long long* __restrict__ labels,
                                                 const REAL* __restrict__ class_weight, const REAL* __restrict__ mask,
                                                 const double* __restrict__ totals, REAL* __restrict__ dscores,
                                                 double* __restrict__ partials, long long pixels, int C,
                                                 long long ignore, int mean) {
  const double divisor = mean && totals[0] > 0 ? totals[0] : 1;
  double loss = 0;
  GRID_LOOP(pixel, pixels) {
    const REAL* s = scores + pixel * C;
    REAL* gradient = dscores + pixel * C;
    const long long label = labels[pixel];
    const REAL weight = pixel_weight(pixel, label, class_weight, mask, C, ignore);
    if (!(weight > 0)) {
      for (int c = 0; c < C; ++c) gradient[c] = 0;
      continue;
    }
    REAL highest = s[0];  // taken off every score, so that no exponential overflows
    for (int c = 1; c < C; ++c)
      if (s[c] > highest) highest = s[c];
    REAL total = 0;
    for (int c = 0; c < C; ++c) total += exp(s[c] - highest);
    loss += (double)(log(total) - (s[label] - highest)) * weight;
    const REAL factor = weight / divisor;
    for (int c = 0; c < C; ++c) gradient[c] = (exp(s[c] - highest) / total - (c == label)) * factor;
  }
  loss = block_sum(loss);
  if (threadIdx.x == 0) partials[blockIdx.x] = loss / divisor;
}
