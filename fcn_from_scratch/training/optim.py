"""Stochastic gradient descent as in Caffe, and learning rates that change with the step."""

from fnmatch import fnmatch

import numpy as np

from fcn_from_scratch import checks, engine, kernels
from fcn_from_scratch.backend import get_array_module, is_plain, to_numpy
from fcn_from_scratch.layers.prepared import release

# name pattern -> (learning-rate factor, decay factor); the first pattern that matches counts. Biases learn twice as
# fast and are not decayed, as in the paper's public networks.
CAFFE_MULTIPLIERS = {"*bias": (2.0, 0.0), "*": (1.0, 1.0)}


class SGD:
    """Gradient descent with momentum and weight decay.

    g = grad / iter_size + weight_decay * decay_mult * w
    V = momentum * V + lr * lr_mult * g
    w = w - V

    This is Caffe's rule. PyTorch keeps the rate out of the velocity (V = momentum * V + g; w = w - lr * V). Both are
    the same while the rate is constant. When the rate drops, Caffe's velocity still carries the old, larger steps for
    about 1 / (1 - momentum) steps.

    model        has `params`, `grads` and zero_grad(). If it has frozen_params(), those parameters do not change
    lr           a number, or a function of the step number: see `constant`, `stepped`, `polynomial`, `warm_up`
    multipliers  name pattern -> (lr_mult, decay_mult); the first match counts
    Raises: ValueError for a negative rate, decay or momentum, or a parameter that no pattern matches.
    Source: the solvers of the paper's public code; Caffe's sgd_solver.cpp.
    """

    def __init__(self, model, lr, momentum=0.9, weight_decay=0.0, multipliers=None):
        self.model = model
        self.schedule = lr if callable(lr) else constant(lr)
        self.momentum = checks.probability(momentum, "momentum")
        self.weight_decay = checks.not_negative(weight_decay, "weight_decay")
        self.steps = 0
        patterns = CAFFE_MULTIPLIERS if multipliers is None else multipliers
        self.multipliers = {name: _multiplier(name, patterns) for name in model.params}
        self.velocity = {name: get_array_module(w).zeros_like(w) for name, w in model.params.items()}

    @property
    def lr(self):
        """The learning rate of the next step."""
        return self.schedule(self.steps)

    def step(self, iter_size=1):
        """Move every parameter by one step. `grads` hold the sum over iter_size batches; the step takes their mean."""
        lr = self.lr
        frozen = self.model.frozen_params() if hasattr(self.model, "frozen_params") else ()
        grads = self.model.grads
        for name, weight in self.model.params.items():
            lr_mult, decay_mult = self.multipliers[name]
            if name in frozen or lr_mult == 0:
                continue
            rate = lr * lr_mult
            if not is_plain() or not getattr(weight.flags, "writeable", True):
                release(weight)  # another network may share it, and may have been prepared
            self._move(
                weight, grads[name], self.velocity[name], rate / iter_size, rate * self.weight_decay * decay_mult
            )
        self.steps += 1

    def _move(self, weight, gradient, velocity, rate, decay):
        """Apply the rule above to one parameter. The engine and the CUDA kernel compute the same in one pass."""
        if kernels.usable(weight, gradient, velocity):
            kernels.sgd(weight, velocity, gradient, self.momentum, rate, decay)
            return
        momentum, rate, decay = map(weight.dtype.type, (self.momentum, rate, decay))
        if not is_plain():
            engine.sgd(weight, velocity, gradient, momentum, rate, decay)
            return
        velocity[...] = momentum * velocity + rate * gradient + decay * weight
        weight -= velocity

    def state_dict(self):
        """Copies of the velocities, on the host."""
        return {name: np.array(to_numpy(array)) for name, array in self.velocity.items()}

    def load_state_dict(self, velocity, steps):
        """Continue with these velocities, after this many steps."""
        for name, array in self.velocity.items():
            array[...] = get_array_module(array).asarray(velocity[name])
        self.steps = steps


def constant(lr):
    """The same rate at every step: Caffe's "fixed", the policy of every network of the paper."""
    checks.not_negative(lr, "lr")
    return lambda step: lr


def stepped(lr, every, factor=0.1):
    """lr * factor**(step // every)"""
    checks.not_negative(lr, "lr")
    checks.integer(every, "every", 1)
    return lambda step: lr * factor ** (step // every)


def polynomial(lr, steps, power=0.9):
    """lr * (1 - step / steps)**power; zero from step number `steps` on"""
    checks.not_negative(lr, "lr")
    checks.integer(steps, "steps", 1)
    return lambda step: lr * max(1 - step / steps, 0.0) ** power


def warm_up(schedule, steps):
    """The same schedule, but its first `steps` steps rise evenly from 0, so that large early gradients do no harm."""
    checks.integer(steps, "steps", 0)
    return lambda step: schedule(step) * min((step + 1) / (steps + 1), 1.0)


def _multiplier(name, patterns):
    for pattern, factors in patterns.items():
        if fnmatch(name, pattern):
            return factors
    raise ValueError(f"no multiplier pattern matches the parameter {name!r}; end the patterns with '*'")
