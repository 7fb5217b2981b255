// One step of gradient descent by Caffe's rule, for one parameter:
//
//   velocity = momentum * velocity + rate * grad + decay * weight
//   weight = weight - velocity
//
// rate is the learning rate (times the parameter's multiplier, over the batches summed), decay the rate times the
// weight decay. As separate operations on arrays these lines read and write each array several times; here once.
//
// Memory: weight, velocity, grad (count,), any shape laid out flat; weight and velocity are changed in place.
// Who reads what: one thread, one number of each.
#include "common.cuh"

extern "C" __global__ void sgd(REAL* __restrict__ weight, REAL* __restrict__ velocity, const REAL* __restrict__ grad,
                               long long count, REAL momentum, REAL rate, REAL decay) {
  GRID_LOOP(at, count) {
    const REAL step = momentum * velocity[at] + rate * grad[at] + decay * weight[at];
    velocity[at] = step;
    weight[at] -= step;
  }
}
