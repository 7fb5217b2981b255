"""Mistakes in convolution: the patches, the gradients, the layers and their prepared weights."""

from planting import Mutant

CONTRACT = "layers/test_contract.py"
CONV = "ops/test_conv.py"
PREPARE = "layers/test_prepare.py"
RUNS = "layers/test_fused.py"
WINO_WIDE = "engine/test_winograd_wide.py"

MUTANTS = [
    Mutant(
        "flipped dy in the weight's gradient",
        "engine.conv_im2col.im2col_weight_grad",
        "source[image, rows, :, outputs].reshape(-1, f // groups)",
        "source[image, rows, ::-1, outputs].reshape(-1, f // groups)",
        CONV,
    ),
    Mutant(
        "flipped dy in the layer",
        "layers.conv.Conv2d._backward",
        "return ops.conv2d_backward(dy, x, *arguments",
        "return ops.conv2d_backward(dy[:, :, ::-1], x, *arguments",
        CONTRACT,
    ),
    Mutant(
        "kernel turned about one axis only",
        "engine.conv_im2col._turned",
        "grouped[..., ::-1, ::-1]",
        "grouped[..., ::-1]",
        CONV,
    ),
    Mutant(
        "groups mixed",
        "engine.conv_im2col._group_slices",
        "slice(g * per_group, (g + 1) * per_group)",
        "slice((groups - 1 - g) * per_group, (groups - g) * per_group)",
        CONV,
    ),
    Mutant(
        "every group gets the first one's bias",
        "engine.conv_im2col.im2col_conv2d",
        "if groups == 1 else bias[outputs]",
        "if groups == 1 else bias[: f // groups]",
        CONV,
    ),
    Mutant(
        "bias gradient of the first block alone (op)",
        "engine.conv.conv2d_bias_grad",
        "return sum(sums[1:], start=sums[0])",
        "return sums[0]",
        "engine/test_conv.py",
    ),
    Mutant(
        "bias gradient of the first image of a block",
        "engine.conv.conv2d_bias_grad",
        "rows = pixels[parts[number]].reshape(-1, f)",
        "rows = pixels[parts[number]][0].reshape(-1, f)",
        "engine/test_conv.py",
    ),
    Mutant(
        "bias gradient without the batch (layer)",
        "layers.conv.Conv2d.backward_params",
        'self.accumulate("bias", ops.conv2d_bias_grad(dy))',
        'self.accumulate("bias", ops.conv2d_bias_grad(dy[:1]))',
        CONTRACT,
    ),
    Mutant(
        "blocks start at the output's row",
        "engine.im2col.gather",
        "_patches(padded, sh * rows.start, positions",
        "_patches(padded, rows.start, positions",
        "layers/test_conv.py",
    ),
    Mutant(
        "patches of windows transposed",
        "engine.im2col.gather_windows",
        "places = (H, 2, sh), (W, 2, sw)",
        "places = (W, 2, sw), (H, 2, sh)",
        RUNS,
    ),
    Mutant(
        "a block of windows starts at the wrong row",
        "engine.im2col.gather_windows",
        "_patches(padded, 2 * sh * rows.start,",
        "_patches(padded, sh * rows.start,",
        RUNS,
    ),
    Mutant(
        "both gradients from one patch matrix, the kernel's not turned back",
        "engine.conv_im2col.im2col_backward",
        "[::-1, ::-1].transpose(2, 3, 0, 1)",
        ".transpose(2, 3, 0, 1)",
        CONV,
    ),
    Mutant(
        "dy is not cropped where the padding is wider than the kernel",
        "engine.conv_im2col._turned",
        "crop_h, crop_w = (max(-width, 0) for width in border)",
        "crop_h = crop_w = 0",
        CONV,
    ),
    Mutant(
        "planes without their last row of padding",
        "engine.im2col.with_border",
        "planes = np.zeros((c, n, h + 2 * ph, w + 2 * pw), dtype)",
        "planes = np.zeros((c, n, h + 2 * pw, w + 2 * ph), dtype)",
        CONV,
    ),
    Mutant(
        "a column of patches for each row of the kernel",
        "engine.im2col._patches",
        "_strided(padded, top, (*taps, *positions)).reshape(kh * kw * c, -1).T",
        "_strided(padded, top, (*taps[::-1], *positions)).reshape(kh * kw * c, -1).T",
        CONV,
    ),
    Mutant(
        "im2col's weight gradient replaces what was there",
        "engine.conv_im2col.im2col_weight_grad",
        "out[outputs] +=",
        "out[outputs] =",
        CONV,
    ),
    Mutant(
        "wide gradient replaces what was there",
        "engine.conv_wide.wide_weight_grad",
        "total[outputs, a] +=",
        "total[outputs, a] =",
        CONV,
    ),
    Mutant(
        "wide gradient of a kernel's first row everywhere",
        "engine.conv_wide.wide_weight_grad",
        "upstream[outputs] @ patches[:, a]",
        "upstream[outputs] @ patches[:, 0]",
        CONV,
    ),
    Mutant(
        "a wide transformed weight of another dtype is used",
        "engine.conv._starts_from",
        "and transformed.dtype == checks.floating_result(get_array_module(x, weight), x, weight)",
        "",
        WINO_WIDE,
    ),
    Mutant(
        "a prepared kernel outlives its weight",
        "layers.conv.Conv2d.transformed",
        "return transformed if weight is self.params",
        "return transformed if weight is not None or self.params",
        PREPARE,
    ),
    Mutant(
        "a prepared kernel outlives the lock of its weight",
        "layers.conv.Conv2d.transformed",
        '["weight"] and not weight.flags.writeable else None',
        '["weight"] else None',
        PREPARE,
    ),
    Mutant(
        "a prepared weight may change",
        "layers.conv.Conv2d.prepare",
        "weight.flags.writeable = False",
        "pass",
        PREPARE,
    ),
    Mutant(
        "training keeps the weight prepared",
        "layers.conv.Conv2d.train",
        """
            if mode:
                self.prepare(False)
        """,
        "",
        PREPARE,
    ),
    Mutant(
        "evaluation gives up what was prepared",
        "layers.conv.Conv2d.train",
        """
            if mode:
                self.prepare(False)
        """,
        "self.prepare(False)",
        PREPARE,
    ),
    Mutant(
        "an unprepared weight stays read-only",
        "layers.conv.Conv2d.prepare",
        "self._prepared[0].flags.writeable = True",
        "",
        PREPARE,
    ),
    Mutant(
        "wide kernels are made unasked",
        "engine.conv.transformation",
        "if wide and algorithm in",
        "if algorithm in",
        WINO_WIDE,
    ),
    Mutant(
        "dilations exchanged",
        "engine.im2col._scatter_add_by_taps",
        "rows.start + dh * a, dw * b",
        "rows.start + dw * a, dh * b",
        CONV,
    ),
    Mutant(
        "overlaps overwrite",
        "engine.im2col.scatter_add",
        "target += cells",
        "target[...] = cells",
        "ops/test_conv_transpose.py",
    ),
    Mutant(
        "stride forgotten in the layer",
        "layers.conv.Conv2d.placing",
        "return self.stride, self.padding, self.dilation, self.groups",
        "return self.stride[::-1], self.padding, self.dilation, self.groups",
        "layers/test_conv.py",
    ),
    Mutant(
        "transposed convolution with swapped channels (op)",
        "engine.conv_transpose.conv_transpose2d",
        "scatter_add(channels_last(x, dtype=dtype), weight, geometry.stride,",
        "scatter_add(channels_last(x, dtype=dtype), weight.reshape(weight.shape[1], weight.shape[0], "
        "*weight.shape[2:]).swapaxes(0, 1), geometry.stride,",
        "ops/test_conv_transpose.py",
    ),
    Mutant(
        "transposed convolution with swapped channels (layer)",
        "layers.conv.ConvTranspose2d.__init__",
        "shape = (in_channels, out_channels // groups, *self.kernel_size)",
        "shape = (out_channels, in_channels // groups, *self.kernel_size)",
        "layers/test_conv.py",
    ),
    Mutant(
        "transposed convolution's weight gradient from mirrored dy",
        "engine.conv_transpose.conv_transpose2d_backward",
        "return dx, conv2d_weight_grad(x, dy, weight, geometry)",
        "return dx, conv2d_weight_grad(x, dy[..., ::-1], weight, geometry)",
        "ops/test_conv_transpose.py",
    ),
    Mutant(
        "bilinear kernels between all classes",
        "layers.conv.ConvTranspose2d.init_bilinear",
        "weight[channel, channel % weight.shape[1]] = xp",
        "weight[:] = xp",
        "layers/test_conv.py",
    ),
]
