"""Mistakes in the plain code of ops, and in the choice between it and the engine.

The tests of ops run in both modes: what only the plain code does wrong is noticed there.
"""

from planting import Mutant

CHAINS = "layers/test_contract_in_chains.py"
CONV = "ops/test_conv.py"
LOSS = "ops/test_loss.py"
MICRO = "engine/test_micro_batches.py"
POOL = "ops/test_pooling.py"
SHUFFLE = "ops/test_pixel_shuffle.py"
TRANSPOSE = "ops/test_conv_transpose.py"

WINDOWS = [
    Mutant(
        "plain taps exchange stride and dilation",
        "ops.windows.taps",
        "rows = slice(dh * a, dh * a + sh * (oh - 1) + 1, sh)",
        "rows = slice(sh * a, sh * a + dh * (oh - 1) + 1, dh)",
        CONV,
    ),
    Mutant(
        "plain taps column by column",
        "ops.windows.taps",
        """
            for a in range(kh):
                for b in range(kw):
        """,
        """
            for b in range(kw):
                for a in range(kh):
        """,
        POOL,
    ),
    Mutant(
        "plain padding all at the top",
        "ops.windows.pad",
        "padded[:, :, ph : ph + h, pw : pw + w] = x",
        "padded[:, :, 2 * ph : 2 * ph + h, pw : pw + w] = x",
        CONV,
    ),
    Mutant(
        "a dilated window overhangs like a dense one",
        "ops.shapes.Geometry.overhang",
        "s * (o - 1) + span(k, d)",
        "s * (o - 1) + k",
        POOL,
    ),
]

CONVOLUTION = [
    Mutant(
        "plain kernel turned",
        "ops.conv.correlate",
        "zip(kernel, taps(",
        "zip(kernel[::-1], taps(",
        CONV,
    ),
    Mutant(
        "plain groups mixed",
        "ops.conv.correlate",
        "matrix @ _grouped(pixels, geometry)",
        "matrix[::-1] @ _grouped(pixels, geometry)",
        CONV,
    ),
    Mutant(
        "plain groups of channels that lie apart",
        "ops.conv._grouped",
        "x.reshape(len(x), geometry.groups, x.shape[1] // geometry.groups, -1)",
        "x.reshape(len(x), x.shape[1] // geometry.groups, geometry.groups, -1).swapaxes(1, 2)",
        CONV,
    ),
    Mutant(
        "plain convolution of integers wraps",
        "ops.conv.correlate",
        "pad(x.astype(dtype, copy=False), geometry.padding)",
        "pad(x, geometry.padding)",
        CONV,
    ),
    Mutant(
        "plain gradient with respect to the input leaves the padding on",
        "ops.conv.scatter_add",
        "return padded[:, :, ph : ph + h, pw : pw + w]",
        "return padded[:, :, :h, :w]",
        CONV,
    ),
    Mutant(
        "plain overlaps overwrite",
        "ops.conv.scatter_add",
        "dpixels +=",
        "dpixels[...] =",
        CONV,
    ),
    Mutant(
        "plain gradient with respect to the input through the turned kernel",
        "ops.conv.scatter_add",
        "zip(kernel, taps(",
        "zip(kernel[::-1], taps(",
        CONV,
    ),
    Mutant(
        "flipped dy in the plain gradient with respect to the weight",
        "ops.conv.weight_gradient",
        "_grouped(dy.astype(dtype, copy=False), geometry)",
        "_grouped(dy[..., ::-1].astype(dtype, copy=False), geometry)",
        CONV,
    ),
    Mutant(
        "plain gradient with respect to the weight with its taps transposed",
        "ops.conv.weight_gradient",
        "reshape(kh, kw, f, c).transpose(2, 3, 0, 1)",
        "reshape(kw, kh, f, c).transpose(2, 3, 1, 0)",
        CONV,
    ),
    Mutant(
        "plain gradient with respect to the weight of the first image alone",
        "ops.conv.weight_gradient",
        ".swapaxes(2, 3)).sum(axis=0) for",
        ".swapaxes(2, 3))[0] for",
        CONV,
    ),
    Mutant(
        "plain gradient with respect to the bias of the first image alone",
        "ops.conv.conv2d_bias_grad",
        "dy.sum(axis=(0, 2, 3)) if",
        "dy[0].sum(axis=(1, 2)) if",
        CONV,
    ),
    Mutant(
        "plain gradients replace what was there",
        "ops.conv.accumulated",
        "total += gradient",
        "total[...] = gradient",
        CONV,
    ),
    Mutant(
        "plain gradients are not added to what was given",
        "ops.conv.conv2d_backward",
        "accumulated(out, weight_gradient(",
        "accumulated(None, weight_gradient(",
        CONV,
    ),
    Mutant(
        "plain transposed convolution by the turned kernel",
        "ops.conv_transpose.conv_transpose2d",
        "scatter_add(x, weight, geometry, y_shape)",
        "scatter_add(x, weight[:, :, ::-1, ::-1], geometry, y_shape)",
        TRANSPOSE,
    ),
    Mutant(
        "the plain gradient of transposed convolution turns the kernel",
        "ops.conv_transpose.conv_transpose2d_backward",
        "correlate(dy, weight, geometry)",
        "correlate(dy, weight[:, :, ::-1, ::-1], geometry)",
        TRANSPOSE,
    ),
    Mutant(
        "plain transposed convolution's weight gradient from mirrored dy",
        "ops.conv_transpose.conv_transpose2d_backward",
        "weight_gradient(x, dy, weight.shape, geometry)",
        "weight_gradient(x, dy[..., ::-1], weight.shape, geometry)",
        TRANSPOSE,
    ),
    Mutant(
        "output_padding ignored",
        "ops.shapes.conv_transpose_output_size",
        "- 2 * padding + output_padding",
        "- 2 * padding",
        TRANSPOSE,
    ),
    Mutant(
        "output_padding may be as large as the stride",
        "checks.output_padding",
        "e >= max(s, d)",
        "e > max(s, d)",
        TRANSPOSE,
    ),
    Mutant(
        "output_padding compared with the stride alone",
        "checks.output_padding",
        "e >= max(s, d)",
        "e >= s",
        TRANSPOSE,
    ),
    Mutant(
        "groups of a transposed convolution need not divide the channels",
        "checks.conv_transpose_weight",
        "if x_shape[1] % groups:",
        "if False:",
        TRANSPOSE,
    ),
    Mutant(
        "a transposed convolution has the output channels of one group",
        "ops.conv_transpose._geometry",
        "weight.shape[1] * geometry.groups",
        "weight.shape[1]",
        TRANSPOSE,
    ),
    Mutant(
        "a transposed convolution's dilation and groups exchanged",
        "ops.shapes.conv_transpose_geometry",
        "Geometry(kernel_size, stride, padding, dilation, groups, size)",
        "Geometry(kernel_size, stride, padding, (groups, groups), dilation[0], size)",
        TRANSPOSE,
    ),
    Mutant(
        "a convolution's size rounded up",
        "ops.shapes.conv_output_size",
        "// stride + 1",
        "// stride + 1 + ((size + 2 * padding - span(kernel_size, dilation)) % stride > 0)",
        CONV,
    ),
]

POOLING = [
    Mutant(
        "plain max-pool ties go to the last",
        "ops.pooling.max_pool2d",
        "(pixels > y)",
        "(pixels >= y)",
        POOL,
    ),
    Mutant(
        "plain padding wins a max-pool",
        "ops.pooling.max_pool2d",
        "wins = (place >= 0) &",
        "wins = (place >= -1) &",
        POOL,
    ),
    Mutant(
        "plain max-pool loses NaN",
        "ops.pooling.max_pool2d",
        "| is_nan)",
        ")",
        POOL,
    ),
    Mutant(
        "plain max-pool starts from zero",
        "ops.pooling.max_pool2d",
        "(indices < 0) |",
        "",
        POOL,
    ),
    Mutant(
        "plain max-pool positions in the padded plane",
        "ops.pooling.max_pool2d",
        "xp.arange(h * w).reshape(1, 1, h, w)",
        "(xp.arange(h)[:, None] * (w + 2 * geometry.padding[1]) + xp.arange(w)).reshape(1, 1, h, w)",
        POOL,
    ),
    Mutant(
        "average counts padding that it is told to leave out",
        "ops.pooling._counts",
        "int(count_include_pad)",
        "1",
        POOL,
    ),
    Mutant(
        "the average's gradient is not shared out",
        "ops.pooling.avg_pool2d_backward",
        "share = dy / _counts(dy, (h, w), geometry, count_include_pad)",
        "share = dy",
        POOL,
    ),
    Mutant(
        "the average's gradient counts padding always",
        "ops.pooling.avg_pool2d_backward",
        "_counts(dy, (h, w), geometry, count_include_pad)",
        "_counts(dy, (h, w), geometry, True)",
        POOL,
    ),
    Mutant(
        "overlapping averages overwrite",
        "ops.pooling.avg_pool2d_backward",
        "dpixels += share",
        "dpixels[...] = share",
        POOL,
    ),
    Mutant(
        "the average of integers wraps",
        "ops.pooling.avg_pool2d",
        "x = checks.floating(x)",
        "x = x",
        POOL,
    ),
    Mutant(
        "unpooling adds where two meet",
        "ops.pooling.max_unpool2d",
        "y.reshape(-1)[_flat(indices, y.shape)] = x.ravel()",
        "get_array_module(x).add.at(y.reshape(-1), _flat(indices, y.shape), x.ravel())",
        POOL,
    ),
]

LOSSES = [
    Mutant(
        "ignored pixels count in the plain loss",
        "ops.loss.pixel_weights",
        "v = counted.astype(scores.dtype)",
        "v = (counted | True).astype(scores.dtype)",
        LOSS,
    ),
    Mutant(
        "the plain mean divides by all pixels",
        "ops.loss.softmax_cross_entropy",
        "float(v.sum(dtype=np.float64)) or 1.0",
        "float(v.size)",
        LOSS,
    ),
    Mutant(
        "the plain mean of nothing is not zero",
        "ops.loss.softmax_cross_entropy",
        "float(v.sum(dtype=np.float64)) or 1.0",
        "np.float64(v.sum(dtype=np.float64))",
        LOSS,
    ),
    Mutant(
        "class weights not in the plain gradient",
        "ops.loss.softmax_cross_entropy",
        "(v / scores.dtype.type(divisor))[:, None]",
        "((v > 0) / scores.dtype.type(divisor))[:, None]",
        LOSS,
    ),
    Mutant(
        "the plain gradient not divided",
        "ops.loss.softmax_cross_entropy",
        "(v / scores.dtype.type(divisor))[:, None]",
        "v[:, None]",
        LOSS,
    ),
    Mutant(
        "large scores overflow in the plain loss",
        "ops.loss.softmax_cross_entropy",
        "shifted = scores - scores.max(axis=1, keepdims=True)",
        "shifted = scores",
        LOSS,
    ),
    Mutant(
        "what does not count passes its nan on in the plain loss",
        "ops.loss.softmax_cross_entropy",
        "xp.where(counts, v * surprise, 0).sum",
        "(v * surprise).sum",
        LOSS,
    ),
    Mutant(
        "what does not count passes its nan on in the plain gradient",
        "ops.loss.softmax_cross_entropy",
        "xp.where(counts[:, None], (v / scores.dtype.type(divisor))[:, None] * gradient, 0)",
        "(v / scores.dtype.type(divisor))[:, None] * gradient",
        LOSS,
    ),
    Mutant(
        "the plain loss summed in float32",
        "ops.loss.softmax_cross_entropy",
        "xp.where(counts, v * surprise, 0).sum(dtype=np.float64)",
        "xp.where(counts, v * surprise, 0).sum(dtype=v.dtype)",
        LOSS,
    ),
    Mutant(
        "the plain loss without its mask",
        "ops.loss.pixel_weights",
        "return v if mask is None else v * mask.astype(v.dtype)",
        "return v",
        LOSS,
    ),
    Mutant(
        "softmax overflows",
        "ops.loss.softmax",
        "scores - scores.max(axis=1, keepdims=True)",
        "scores",
        LOSS,
    ),
]

OTHERS = [
    Mutant(
        "a cell's rows and columns exchanged",
        "ops.pixel_shuffle.pixel_shuffle",
        "transpose(0, 1, 4, 2, 5, 3)",
        "transpose(0, 1, 4, 3, 5, 2)",
        SHUFFLE,
    ),
    Mutant(
        "a cell's rows and columns exchanged on the way back",
        "ops.pixel_shuffle.pixel_shuffle_backward",
        "transpose(0, 1, 3, 5, 2, 4)",
        "transpose(0, 1, 5, 3, 2, 4)",
        SHUFFLE,
    ),
    Mutant(
        "the channels of a cell lie apart",
        "ops.pixel_shuffle.pixel_shuffle",
        "x.reshape(n, c // (r * r), r, r, h, w)",
        "x.reshape(n, r, r, c // (r * r), h, w).transpose(0, 3, 1, 2, 4, 5)",
        SHUFFLE,
    ),
    Mutant(
        "plain ReLU passes a gradient at zero",
        "ops.activation.relu_backward",
        "return dy * (y > 0)",
        "return dy * (y >= 0)",
        "ops/test_activation.py",
    ),
    Mutant(
        "plain decay after momentum",
        "training.optim.SGD._move",
        "velocity[...] = momentum * velocity + rate * gradient + decay * weight",
        """
            velocity[...] = momentum * velocity + rate * gradient
            weight -= decay * weight
        """,
        "training/test_optim.py",
    ),
    Mutant(
        "a plain step without momentum",
        "training.optim.SGD._move",
        "weight -= velocity",
        "weight -= rate * gradient + decay * weight",
        "training/test_optim.py",
    ),
]

CHOICE = [
    Mutant(
        "plain never ends",
        "backend.plain",
        "_plain.reset(token)",
        "pass",
        MICRO,
    ),
    Mutant(
        "plain(False) is plain",
        "backend.plain",
        "_plain.set(bool(on))",
        "_plain.set(True)",
        MICRO,
    ),
    Mutant(
        "kernels used inside plain",
        "backend.usable",
        "is_plain()",
        "False",
        "kernels/test_step.py",
    ),
    Mutant(
        "dropout's kernel used inside plain",
        "layers.activation.Dropout._draw",
        "if xp is not np and not is_plain() and",
        "if xp is not np and",
        "kernels/test_step.py",
    ),
    Mutant(
        "batches cut inside plain",
        "engine.micro_batches.MicroBatches.cut",
        "not is_plain() and",
        "",
        MICRO,
    ),
    Mutant(
        "a chain is fused inside plain",
        "layers.container.Sequential.forward",
        "if not is_plain():",
        "if True:",
        "layers/test_fused.py",
    ),
    Mutant(
        "a trunk is fused inside plain",
        "models.trunk.Trunk._run",
        "if not is_plain():",
        "if True:",
        "layers/test_fused.py",
    ),
    Mutant(
        "indices of the plain code taken for the engine's places",
        "layers.pooling.MaxPool2d._backward",
        "if winner.dtype == np.int64:",
        "if is_plain():",
        CHAINS,
    ),
    Mutant(
        "a pool's indices made twice after the plain code",
        "layers.pooling.MaxPool2d.indices",
        "if self.winner is None or self.winner.dtype == np.int64:",
        "if self.winner is None:",
        "layers/test_pooling.py",
    ),
]

MUTANTS = [*WINDOWS, *CONVOLUTION, *POOLING, *LOSSES, *OTHERS, *CHOICE]
