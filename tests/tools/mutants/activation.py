"""Mistakes in ReLU, dropout and normalisation."""

from planting import Mutant

MUTANTS = [
    Mutant(
        "dropout draws in the order of memory",
        "layers.activation.Dropout._draw",
        "mask = channels_first(channels_last(mask))",
        "mask = channels_first(mask.reshape(channels_last(mask).shape))",
        "layers/test_activation.py",
    ),
    Mutant(
        "dropout's mask lies channels first",
        "layers.activation.Dropout._draw",
        "if mask.ndim == 4 and",
        "if mask.ndim == 5 and",
        "layers/test_activation.py",
    ),
    Mutant(
        "ReLU passes a gradient at zero",
        "engine.pixelwise.relu_backward",
        "xp.multiply(dy[:, :, rows], y[:, :, rows] > 0,",
        "xp.multiply(dy[:, :, rows], y[:, :, rows] >= 0,",
        "ops/test_activation.py",
    ),
    Mutant(
        "ReLU turns NaN into zero",
        "engine.pixelwise.rectify",
        "return x.clip(0, np.inf, out=out)",
        "return np.fmax(x, 0, out=out)",
        "engine/test_pixelwise.py",
    ),
    Mutant(
        "a product with a small result keeps Python's lock",
        "engine.pixelwise.long_sums",
        ".dot(a, b)",
        ".matmul(a, b)",
        "engine/test_pixelwise.py",
    ),
    Mutant(
        "the last rows of a gradient are not set to zero",
        "engine.pixelwise.zero",
        "array[rows] = 0",
        "array[rows][:-1] = 0",
        "engine/test_pixelwise.py",
    ),
    Mutant(
        "dropout does not scale up",
        "ops.activation._dropped",
        "floating_result(xp, x)) / (1 - p))",
        "floating_result(xp, x)))",
        "ops/test_activation.py",
    ),
    Mutant(
        "dropout in eval mode",
        "layers.activation.Dropout._forward",
        "if not self.training or self.p == 0:",
        "if self.p == 0:",
        "layers/test_activation.py",
    ),
    Mutant(
        "dropout scales its gradient by a later p",
        "layers.activation.Dropout._backward",
        "return ops.dropout_backward(dy, *cache) if cache else dy",
        "return ops.dropout_backward(dy, cache[0], self.p) if cache else dy",
        "layers/test_activation.py",
    ),
    Mutant(
        "channel dropout drops whole images",
        "layers.activation.ChannelDropout._mask_shape",
        "return x.shape[:2]",
        "return (x.shape[0], 1)",
        "layers/test_activation.py",
    ),
    Mutant(
        "response window not mirrored in backward",
        "ops.normalization.local_response_norm_backward",
        "energy, (size - 1) // 2, size // 2)",
        "energy, size // 2, (size - 1) // 2)",
        "ops/test_normalization.py",
    ),
    Mutant(
        "alpha not divided by the window",
        "ops.normalization._energy",
        "return k + (alpha / size) *",
        "return k + alpha *",
        "ops/test_normalization.py",
    ),
    Mutant(
        "the dropout mask is copied to the GPU",
        "layers.activation.Dropout._draw",
        "if xp is not np and",
        "if xp is np and",
        "kernels/test_step.py",
    ),
]
