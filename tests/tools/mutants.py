"""Does the suite notice? One small mistake at a time is put into a copy of the package, and the tests must fail.

python tests/tools/mutants.py                 all of them: a table, and exit status 1 if one survives
python tests/tools/mutants.py --list          their names, and where each stands
python tests/tools/mutants.py --only groups   those whose name contains the word
python tests/tools/mutants.py --jobs 2        so many at once

The working tree is never touched: each mutant lives in a temporary folder of its own. Neither PyTorch nor a GPU is
asked (tests with these marks, and slow ones, are left out): the suite has to notice without them.
test_mutants.py, which runs with the suite, sees to it that every mutant still fits the source.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "fcn_from_scratch"
TIME_LIMIT = 600  # seconds for the tests of one mutant: what hangs is noticed too


class Mutant(NamedTuple):
    """A mistake: in `file`, the only occurrence of `text` becomes `replacement`; `tests` must notice."""

    name: str
    file: str
    text: str
    replacement: str
    tests: str  # pytest's arguments below tests/


CONV = "ops/test_conv.py"
WINO = "engine/test_winograd.py"
WINO_WIDE = "engine/test_winograd_wide.py"
PREPARE = "layers/test_prepare.py"
RUNS = "layers/test_fused.py"
POOL = "ops/test_pooling.py"
LOSS = "ops/test_loss.py"
UPSAMPLE = "ops/test_upsample.py"
UPSAMPLER = "layers/test_upsampling.py"
CONTRACT = "layers/test_contract.py"
STEP = "models/test_training_step.py"
ZERO_FRAME = "models/test_zero_frame.py"
PARALLEL = "lab/mpi/test_parallel.py"
MICRO = "engine/test_micro_batches.py"
THREADS = "engine/test_threads.py"
KERNELS = "kernels/test_kernels.py"
EMULATOR = "kernels/test_emulator.py"
GPU_BENCH = "lab/bench/test_gpu_bench.py"
FAR = "kernels/test_far.py"
GEMM_BARRIER = "      }\n      __syncthreads();  // everybody is done with them; the next ones may be written\n    }"

MUTANTS = [
    # convolution
    Mutant(
        "flipped dy in the weight's gradient",
        "engine/conv_im2col.py",
        "source[image, rows, :, outputs].reshape(-1, f // groups)",
        "source[image, rows, ::-1, outputs].reshape(-1, f // groups)",
        CONV,
    ),
    Mutant(
        "flipped dy in the layer",
        "layers/conv.py",
        "return ops.conv2d_backward(dy, x, *arguments",
        "return ops.conv2d_backward(dy[:, :, ::-1], x, *arguments",
        CONTRACT,
    ),
    Mutant(
        "kernel turned about one axis only",
        "engine/conv_im2col.py",
        "grouped[..., ::-1, ::-1]",
        "grouped[..., ::-1]",
        CONV,
    ),
    Mutant(
        "groups mixed",
        "engine/conv_im2col.py",
        "slice(g * per_group, (g + 1) * per_group)",
        "slice((groups - 1 - g) * per_group, (groups - g) * per_group)",
        CONV,
    ),
    Mutant(
        "every group gets the first one's bias",
        "engine/conv_im2col.py",
        "if groups == 1 else bias[outputs]",
        "if groups == 1 else bias[: f // groups]",
        CONV,
    ),
    Mutant(
        "bias gradient of the first block alone (op)",
        "ops/conv.py",
        "return sum(sums[1:], start=sums[0])",
        "return sums[0]",
        CONV,
    ),
    Mutant(
        "bias gradient of the first image of a block",
        "ops/conv.py",
        "rows = pixels[parts[number]].reshape(-1, f)",
        "rows = pixels[parts[number]][0].reshape(-1, f)",
        CONV,
    ),
    Mutant(
        "bias gradient without the batch (layer)",
        "layers/conv.py",
        'self.accumulate("bias", conv2d_bias_grad(dy))',
        'self.accumulate("bias", conv2d_bias_grad(dy[:1]))',
        CONTRACT,
    ),
    Mutant(
        "blocks start at the output's row",
        "engine/im2col.py",
        "_patches(padded, sh * rows.start, positions",
        "_patches(padded, rows.start, positions",
        "layers/test_conv.py",
    ),
    Mutant(
        "bands start too low",
        "engine/winograd_tiles.py",
        "OUTPUTS * band.rows.start - ph",
        "OUTPUTS * band.rows.start - pw",
        WINO,
    ),
    Mutant(
        "padding only at the top", "engine/winograd_tiles.py", "_phases(vertical, pw,", "_phases(vertical, ph,", WINO
    ),
    Mutant("bias added to another frequency", "engine/winograd.py", "MEAN = 7", "MEAN = 8", WINO),
    Mutant(
        "Winograd's kernel is not turned",
        "engine/winograd_transforms.py",
        "KERNEL[:, ::-1] if turned",
        "KERNEL if turned",
        WINO,
    ),
    Mutant(
        "Winograd's weight gradient keeps the last group only",
        "engine/winograd.py",
        "dkernel[frequency] += product",
        "dkernel[frequency] = product",
        WINO,
    ),
    Mutant(
        "additions that are not B^T",
        "engine/winograd_transforms.py",
        "subtract(out[5], odd, out=out[5])  # 4 d1 - 5 d3 + d5",
        "add(out[5], odd, out=out[5])",
        WINO,
    ),
    Mutant(
        "zeros beyond the output win a pool",
        "engine/winograd_tiles.py",
        "tiles[below:, :, :, -1] = -math.inf",
        "pass",
        RUNS,
    ),
    Mutant(
        "fused pool prefers the later of equal pixels",
        "ops/pooling.py",
        "winner *= smaller[0, 0]",
        "winner = np.where(windows[1, 1] == largest, np.uint8(3), winner * smaller[0, 0])",
        WINO,
    ),
    Mutant(
        "a pooled zero learns",
        "ops/pooling.py",
        "positive = (largest > 0).view(np.uint8)",
        "positive = (largest >= 0).view(np.uint8)",
        POOL,
    ),
    Mutant(
        "fused pool asks the wrong pixel for the second place",
        "ops/pooling.py",
        "winner *= smaller[0, 1]",
        "winner *= smaller[1, 0]",
        RUNS,
    ),
    Mutant(
        "patches of windows transposed",
        "engine/im2col.py",
        "places = (H, 2, sh), (W, 2, sw)",
        "places = (W, 2, sw), (H, 2, sh)",
        RUNS,
    ),
    Mutant(
        "a block of windows starts at the wrong row",
        "engine/im2col.py",
        "_patches(padded, 2 * sh * rows.start,",
        "_patches(padded, sh * rows.start,",
        RUNS,
    ),
    Mutant("fused pool leaves out the bias", "engine/conv_im2col.py", "lines += _along_rows(bias, pw)", "pass", RUNS),
    Mutant(
        "both gradients from one patch matrix, the kernel's not turned back",
        "engine/conv_im2col.py",
        "[::-1, ::-1].transpose(2, 3, 0, 1)",
        ".transpose(2, 3, 0, 1)",
        CONV,
    ),
    Mutant(
        "dy is not cropped where the padding is wider than the kernel",
        "engine/conv_im2col.py",
        "crop_h, crop_w = (max(-width, 0) for width in border)",
        "crop_h = crop_w = 0",
        CONV,
    ),
    Mutant(
        "planes without their last row of padding",
        "engine/im2col.py",
        "planes = np.zeros((c, n, h + 2 * ph, w + 2 * pw), dtype)",
        "planes = np.zeros((c, n, h + 2 * pw, w + 2 * ph), dtype)",
        CONV,
    ),
    Mutant(
        "a column of patches for each row of the kernel",
        "engine/im2col.py",
        "_strided(padded, top, (*taps, *positions)).reshape(kh * kw * c, -1).T",
        "_strided(padded, top, (*taps[::-1], *positions)).reshape(kh * kw * c, -1).T",
        CONV,
    ),
    Mutant(
        "the pool's gradient goes to a transposed window",
        "ops/pooling.py",
        "taps = dx.reshape(n, oh, kh, ow, kw, c).transpose(2, 4, 0, 1, 3, 5)",
        "taps = dx.reshape(n, oh, kh, ow, kw, c).transpose(4, 2, 0, 1, 3, 5)",
        POOL,
    ),
    Mutant(
        "a negative label let through",
        "checks.py",
        "labels.min() >= 0 and labels.max() < num_classes",
        "labels.max() < num_classes",
        LOSS,
    ),
    Mutant(
        "two planes upsampled from one",
        "ops/upsample.py",
        "planes[part].reshape(-1, w) @ horizontal.T",
        "planes[: part.stop - part.start].reshape(-1, w) @ horizontal.T",
        UPSAMPLE,
    ),
    Mutant(
        "fused pool drops the last row of ceil mode",
        "ops/conv.py",
        'if chosen == "im2col" and groups == 1 and not any(n % 2 for n in geometry.output_size):',
        'if chosen == "im2col" and groups == 1:',
        RUNS,
    ),
    Mutant(
        "im2col's weight gradient replaces what was there",
        "engine/conv_im2col.py",
        "out[outputs] += ",
        "out[outputs] = ",
        CONV,
    ),
    Mutant(
        "a tap within a run is lost", "layers/fused.py", "if name in taps), length)", "if name in ()), length)", RUNS
    ),
    Mutant("winograd in float64", "ops/conv.py", "        and dtype == np.float32\n", "", CONV),
    Mutant(
        "wide gradient replaces what was there",
        "engine/conv_wide.py",
        "total[outputs, a] +=",
        "total[outputs, a] =",
        CONV,
    ),
    Mutant(
        "wide gradient of a kernel's first row everywhere",
        "engine/conv_wide.py",
        "upstream[outputs] @ patches[:, a]",
        "upstream[outputs] @ patches[:, 0]",
        CONV,
    ),
    # weights that were transformed before
    Mutant(
        "the transformed weight lies as a forward makes it",
        "engine/winograd.py",
        "ascontiguousarray(kernel.transpose(0, 2, 1))",
        "ascontiguousarray(kernel)",
        f"{WINO} {PREPARE}",
    ),
    Mutant(
        "the transformed weight is a view",
        "engine/winograd.py",
        "return get_array_module(weight).ascontiguousarray(kernel.transpose(0, 2, 1))",
        "return kernel.transpose(0, 2, 1)",
        WINO,
    ),
    Mutant(
        "the transformed weight is for the gradient",
        "engine/winograd.py",
        "kernel, _, _ = _kernel(weight, weight, None)",
        "kernel, _, _ = _kernel(weight, weight, None, turned=True)",
        WINO,
    ),
    Mutant(
        "a transformed weight of another dtype is used",
        "engine/winograd.py",
        "if transformed is not None and transformed.dtype == checks.floating_result(xp, x, weight):",
        "if transformed is not None:",
        f"{WINO} {PREPARE}",
    ),
    Mutant(
        "a wide transformed weight of another dtype is used",
        "ops/conv.py",
        "        and transformed.dtype == checks.floating_result(get_array_module(x, weight), x, weight)\n",
        "",
        WINO_WIDE,
    ),
    Mutant(
        "a prepared kernel outlives its weight",
        "layers/conv.py",
        "return transformed if weight is self.params",
        "return transformed if weight is not None or self.params",
        PREPARE,
    ),
    Mutant(
        "a prepared kernel outlives the lock of its weight",
        "layers/conv.py",
        '["weight"] and not weight.flags.writeable else None',
        '["weight"] else None',
        PREPARE,
    ),
    Mutant("a prepared weight may change", "layers/conv.py", "weight.flags.writeable = False", "pass", PREPARE),
    Mutant(
        "training keeps the weight prepared",
        "layers/conv.py",
        "        if mode:\n            self.prepare(False)\n",
        "",
        PREPARE,
    ),
    Mutant(
        "evaluation gives up what was prepared",
        "layers/conv.py",
        "        if mode:\n            self.prepare(False)\n",
        "        self.prepare(False)\n",
        PREPARE,
    ),
    Mutant(
        "an unprepared weight stays read-only",
        "layers/conv.py",
        "            self._prepared[0].flags.writeable = True\n",
        "",
        PREPARE,
    ),
    Mutant("a state is loaded into prepared weights", "layers/base.py", "        self.prepare(False)\n", "", PREPARE),
    Mutant("wide kernels are made unasked", "ops/conv.py", "if wide and algorithm in", "if algorithm in", WINO_WIDE),
    Mutant(
        "a container forgets that wide kernels were asked for",
        "layers/container.py",
        "child.prepare(mode, wide=wide)",
        "child.prepare(mode)",
        f"{PREPARE} {WINO_WIDE}",
    ),
    Mutant(
        "F(2, 7) at a point whose powers are large",
        "engine/winograd_wide.py",
        '2, -2, "1/2", "-1/2")',
        '2, -2, "1/2", 3)',
        WINO_WIDE,
    ),
    Mutant(
        "F(2, 7) has no tile for the last odd row",
        "engine/winograd_wide.py",
        "(rows, columns), inputs = [-(-n // OUTPUTS) for n in (oh, ow)],",
        "(rows, columns), inputs = [-(-oh // OUTPUTS), max(ow // OUTPUTS, 1)],",
        WINO_WIDE,
    ),
    Mutant(
        "F(2, 7) has zeros behind the other axis",
        "engine/winograd_wide.py",
        "extra=(oh % OUTPUTS, ow % OUTPUTS)",
        "extra=(ow % OUTPUTS, oh % OUTPUTS)",
        WINO_WIDE,
    ),
    Mutant(
        "F(2, 7) adds the bias after ReLU",
        "engine/winograd_wide.py",
        """        if bias is not None:
            pixels += bias[filters, None, None, None]
        if relu:
            np.maximum(pixels, 0, out=pixels)
""",
        """        if relu:
            np.maximum(pixels, 0, out=pixels)
        if bias is not None:
            pixels += bias[filters, None, None, None]
""",
        WINO_WIDE,
    ),
    Mutant(
        "F(2, 7) gives every part of the filters the first biases",
        "engine/winograd_wide.py",
        "pixels += bias[filters, None",
        "pixels += bias[: filters.stop - filters.start, None",
        WINO_WIDE,
    ),
    Mutant(
        "F(2, 7)'s weights transformed in float32",
        "engine/winograd_wide.py",
        ".astype(np.float64)",
        ".astype(np.float32)",
        WINO_WIDE,
    ),
    Mutant(
        "F(2, 7)'s axes exchanged",
        "engine/winograd_wide.py",
        "np.kron(_matrices(kh)[1], _matrices(kw)[1])",
        "np.kron(_matrices(kw)[1], _matrices(kh)[1])",
        WINO_WIDE,
    ),
    Mutant(
        "dropout draws in the order of memory",
        "layers/activation.py",
        "mask = channels_first(channels_last(mask))",
        "mask = channels_first(mask.reshape(channels_last(mask).shape))",
        "layers/test_activation.py",
    ),
    Mutant(
        "dropout's mask lies channels first",
        "layers/activation.py",
        "if mask.ndim == 4:",
        "if mask.ndim == 5:",
        "layers/test_activation.py",
    ),
    Mutant(
        "a block is lent while a view looks at it",
        "engine/workspace.py",
        "return np.asarray(_Loan(self._block(size), self._returned, shape, dtype))",
        "return np.array(_Loan(self._block(size), self._returned, shape, dtype)).view()",
        "engine/test_workspace.py",
    ),
    Mutant("dilations exchanged", "engine/im2col.py", "full[:, :, ::dh, ::dw]", "full[:, :, ::dw, ::dh]", CONV),
    Mutant(
        "overlaps overwrite", "engine/im2col.py", "target += cells", "target[...] = cells", "ops/test_conv_transpose.py"
    ),
    Mutant(
        "stride forgotten in the layer",
        "layers/conv.py",
        "return self.stride, self.padding, self.dilation, self.groups, self.algorithm",
        "return self.stride[::-1], self.padding, self.dilation, self.groups, self.algorithm",
        "layers/test_conv.py",
    ),
    # transposed convolution and other upsampling
    Mutant(
        "transposed convolution with swapped channels (op)",
        "ops/conv_transpose.py",
        "spread(channels_last(x, dtype=dtype), weight, stride,",
        "spread(channels_last(x, dtype=dtype), weight.reshape(weight.shape[1], weight.shape[0], "
        "*weight.shape[2:]).swapaxes(0, 1), stride,",
        "ops/test_conv_transpose.py",
    ),
    Mutant(
        "transposed convolution with swapped channels (layer)",
        "layers/conv.py",
        "shape = (in_channels, out_channels, *self.kernel_size)",
        "shape = (out_channels, in_channels, *self.kernel_size)",
        "layers/test_conv.py",
    ),
    Mutant(
        "transposed convolution's weight gradient with x and dy exchanged",
        "ops/conv_transpose.py",
        "dweight = conv2d_weight_grad(x, dy, weight, stride, padding)",
        "dweight = conv2d_weight_grad(x, dy[..., ::-1], weight, stride, padding)",
        "ops/test_conv_transpose.py",
    ),
    Mutant(
        "bilinear kernels between all classes",
        "layers/conv.py",
        "weight[diagonal, diagonal] = xp",
        "weight[:] = xp",
        "layers/test_conv.py",
    ),
    Mutant(
        "bilinear centre of odd kernels half a pixel off",
        "ops/upsample.py",
        "centre = factor - 1 if size % 2 else factor - 0.5",
        "centre = factor - 0.5",
        UPSAMPLE,
    ),
    Mutant(
        "nearest neighbour's gradient averaged",
        "ops/upsample.py",
        "return _cells(dy, scale).sum(axis=(3, 5))",
        "return _cells(dy, scale).mean(axis=(3, 5))",
        UPSAMPLE,
    ),
    Mutant(
        "corners aligned by the pixel count",
        "ops/upsample.py",
        "(n - 1) / (m - 1)",
        "n / m",
        UPSAMPLE,
    ),
    # pooling
    Mutant("max-pool ties go to the last", "ops/pooling.py", "(tap > largest)", "(tap >= largest)", POOL),
    Mutant("padding wins a max-pool", "ops/pooling.py", "lowest = -np.inf if", "lowest = 0 if", POOL),
    Mutant(
        "max-pool positions count in heights",
        "engine/pooling_windows.py",
        "dh, dw), width = self.kernel_size, self.dilation, self.size[1]",
        "dh, dw), width = self.kernel_size, self.dilation, self.size[0]",
        POOL,
    ),
    Mutant(
        "a pixel that won twice is paid once",
        "ops/pooling.py",
        "xp.add.at(dx, flat.ravel(), dy.transpose(0, 2, 3, 1).ravel())",
        "dx[flat.ravel()] = dy.transpose(0, 2, 3, 1).ravel()",
        POOL,
    ),
    Mutant(
        "average counts beyond the padding",
        "engine/pooling_windows.py",
        "end = np.minimum(start + k, n + p)",
        "end = start + k",
        POOL,
    ),
    Mutant("ceil and floor swapped", "ops/shapes.py", "out = -(-room // stride) + 1", "out = room // stride + 1", POOL),
    Mutant(
        "a window beyond the image counts",
        "ops/shapes.py",
        "if (out - 1) * stride >= size + padding:",
        "if (out - 1) * stride > size + padding:",
        POOL,
    ),
    Mutant(
        "the networks' pools round down",
        "models/trunk.py",
        "MaxPool2d(2, ceil_mode=True",
        "MaxPool2d(2, ceil_mode=False",
        "models/test_alignment.py",
    ),
    # pixel by pixel, normalisation
    Mutant(
        "ReLU passes a gradient at zero",
        "ops/activation.py",
        "xp.multiply(dy[:, :, rows], y[:, :, rows] > 0,",
        "xp.multiply(dy[:, :, rows], y[:, :, rows] >= 0,",
        "ops/test_activation.py",
    ),
    Mutant(
        "dropout does not scale up",
        "ops/activation.py",
        "floating_result(xp, x)) / (1 - p))",
        "floating_result(xp, x)))",
        "ops/test_activation.py",
    ),
    Mutant(
        "dropout in eval mode",
        "layers/activation.py",
        "if not self.training or self.p == 0:",
        "if self.p == 0:",
        "layers/test_activation.py",
    ),
    Mutant(
        "dropout scales its gradient by a later p",
        "layers/activation.py",
        "return ops.dropout_backward(dy, *cache) if cache else dy",
        "return ops.dropout_backward(dy, cache[0], self.p) if cache else dy",
        "layers/test_activation.py",
    ),
    Mutant(
        "channel dropout drops whole images",
        "layers/activation.py",
        "return x.shape[:2]",
        "return (x.shape[0], 1)",
        "layers/test_activation.py",
    ),
    Mutant(
        "response window not mirrored in backward",
        "ops/normalization.py",
        "energy, (size - 1) // 2, size // 2)",
        "energy, size // 2, (size - 1) // 2)",
        "ops/test_normalization.py",
    ),
    Mutant(
        "alpha not divided by the window",
        "ops/normalization.py",
        "return k + (alpha / size) *",
        "return k + alpha *",
        "ops/test_normalization.py",
    ),
    # loss
    Mutant(
        "ignored pixels counted in the mean",
        "ops/loss.py",
        "labels.size if value is None else value.sum(dtype=np.float64)",
        "labels.size",
        LOSS,
    ),
    Mutant(
        "ignored pixels get a gradient",
        "ops/loss.py",
        "value = counted.astype(scores.dtype)",
        "value = (counted | True).astype(scores.dtype)",
        LOSS,
    ),
    Mutant(
        "sum divided by the images",
        "ops/loss.py",
        "    divisor = 1.0\n",
        "    divisor = float(n)\n",
        LOSS,
    ),
    Mutant(
        "class weights not in the gradient",
        "ops/loss.py",
        "factor = v / by",
        "factor = (v > 0) / by",
        LOSS,
    ),
    Mutant(
        "large scores overflow",
        "ops/loss.py",
        "own.max(axis=1)[:, None], out=p)",
        "0, out=p)",
        LOSS,
    ),
    Mutant(
        "what does not count passes its nan on",
        "ops/loss.py",
        "if not bool(xp.isfinite(total).all()):",
        "if False:",
        LOSS,
    ),
    Mutant(
        "class 0 taken for the ignore label",
        "ops/loss.py",
        "n, counted = len(labels), labels != ignore_index",
        "n, counted = len(labels), (labels != ignore_index) & (labels > 0)",
        LOSS,
    ),
    Mutant("an id too large let through", "checks.py", "(labels >= num_classes)", "(labels > num_classes)", LOSS),
    # the layer contract
    Mutant(
        "gradients overwritten",
        "layers/base.py",
        "self.gradient_of(name)[...] += gradient",
        "self.gradient_of(name)[...] = gradient",
        CONTRACT,
    ),
    Mutant(
        "eval mode keeps its input",
        "layers/base.py",
        "self._cache = cache if self.training else None",
        "self._cache = cache",
        CONTRACT,
    ),
    Mutant(
        "a state of another shape is broadcast",
        "layers/base.py",
        "if tuple(ours.shape) != tuple(np.shape(theirs)):",
        "if np.size(ours) < np.size(theirs):",
        "layers/test_base.py",
    ),
    Mutant(
        "a crop's gradient one column off",
        "ops/crop.py",
        "dx[:, :, oy : oy + h, ox : ox + w] = dy",
        "dx[:, :, oy : oy + h, ox : ox + w] = np.roll(dy, 1, -1)",
        "ops/test_crop.py",
    ),
    Mutant(
        "crop offsets exchanged",
        "ops/crop.py",
        "return x[:, :, oy : oy + h, ox : ox + w]",
        "return x[:, :, ox : ox + h, oy : oy + w]",
        "ops/test_crop.py layers/test_fusion.py",
    ),
    Mutant(
        "scores scaled, not features",
        "layers/fusion.py",
        "fine = self.score(_scaled(skip, self.scale))",
        "fine = _scaled(self.score(skip), self.scale)",
        "layers/test_fusion.py",
    ),
    Mutant(
        "the skip's gradient not scaled",
        "layers/fusion.py",
        "return dscores, _scaled(dskip, self.scale)",
        "return dscores, dskip",
        "layers/test_fusion.py",
    ),
    Mutant(
        "negative offsets not cropped",
        "layers/fusion.py",
        "cut_coarse = tuple(max(-o, 0) for o in self.offset)",
        "cut_coarse = tuple(0 for o in self.offset)",
        "layers/test_fusion.py",
    ),
    Mutant(
        "a skip that starts at one", "layers/fusion.py", "array[...] = 0", "array[...] = 1", "layers/test_fusion.py"
    ),
    Mutant("eval mode keeps what forward kept before", "layers/base.py", "if not mode:", "if mode:", CONTRACT),
    # geometry and models
    Mutant(
        "off-by-one crop",
        "geometry/fields.py",
        "offset = (there.start - here.start) / here.stride",
        "offset = (there.start - here.start) / here.stride + 1",
        "geometry/test_fields.py",
    ),
    Mutant(
        "crops rounded",
        "geometry/fields.py",
        "if offset.denominator != 1:",
        "if not offset.denominator:",
        "geometry/test_fields.py",
    ),
    Mutant(
        "padding moves the grid the wrong way",
        "geometry/fields.py",
        "centre = Fraction(reach, 2) - layer.padding[number]",
        "centre = Fraction(reach, 2) + layer.padding[number]",
        "geometry/test_fields.py",
    ),
    Mutant(
        "dilation does not widen the field",
        "geometry/fields.py",
        "reach = dilation * (layer",
        "reach = (layer",
        "geometry/test_fields.py",
    ),
    Mutant(
        "upsampling's shift in coarse pixels",
        "geometry/fields.py",
        "start - (Fraction(k - 1, 2) - p) * finer)",
        "start - (Fraction(k - 1, 2) - p) * stride)",
        "geometry/test_fields.py",
    ),
    Mutant(
        "a skip's grid starts where the earlier map does",
        "geometry/fields.py",
        "a.stride, max(a.start, b.start))",
        "a.stride, min(a.start, b.start))",
        "models/test_alignment.py geometry/test_fields.py",
    ),
    Mutant(
        "a fork's gradient dropped",
        "models/trunk.py",
        "return dy + dmaps[key] if key in dmaps else dy",
        "return dy",
        "models/test_gradients.py",
    ),
    Mutant(
        "a fork's other gradient dropped",
        "models/trunk.py",
        "return dy + dmaps[key] if key in dmaps else dy",
        "return dmaps[key] if key in dmaps else dy",
        "models/test_gradients.py",
    ),
    Mutant("score_fr starts at one", "models/head.py", "array[...] = 0", "array[...] = 1", "models/test_gradients.py"),
    Mutant(
        "a frozen trunk drops out",
        "models/segmenter.py",
        "self.trunk.train(False)",
        "self.trunk.train(mode)",
        "models/test_gradients.py",
    ),
    Mutant(
        "learned kernels thrown away",
        "models/segmenter.py",
        " or not np.allclose(weight, expected, atol=1e-6)",
        "",
        "models/test_surgery.py",
    ),
    Mutant(
        "twofold upsampling starts at random",
        "layers/upsampler.py",
        "return layer.init_bilinear()",
        "return layer",
        "models/test_build.py models/test_surgery.py",
    ),
    Mutant(
        "at-once scales exchanged",
        "models/vgg.py",
        "AT_ONCE_SCALES = (0.01, 0.0001)",
        "AT_ONCE_SCALES = (0.0001, 0.01)",
        "models/test_build.py",
    ),
    # branches, streams, heads
    Mutant(
        "only one branch's gradient comes back",
        "layers/branches.py",
        "return sum(branch.backward(part) for branch, part in zip(self.branches, self.output.backward(dy)))",
        "return [branch.backward(part) for branch, part in zip(self.branches, self.output.backward(dy))][-1]",
        "layers/test_branches.py",
    ),
    Mutant(
        "every branch gets the first channels of dy",
        "layers/fusion.py",
        "tuple(dy[:, end - count : end] for",
        "tuple(dy[:, :count] for",
        "layers/test_branches.py",
    ),
    Mutant(
        "the last branch's field counts",
        "geometry/fields.py",
        "first = overlap(first, other)",
        "first = other",
        "geometry/test_branches.py models/test_googlenet.py",
    ),
    Mutant(
        "AlexNet normalises before it pools",
        "models/alexnet.py",
        'return _pool(number), LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0, name=f"norm{number}")',
        'return LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0, name=f"norm{number}"), _pool(number)',
        "models/test_alexnet.py",
    ),
    Mutant("conv4 in one group", "models/alexnet.py", "(384, 3, 1, 2)", "(384, 3, 1, 1)", "models/test_alexnet.py"),
    Mutant(
        "the trunk hears of one head only",
        "models/multitask.py",
        "return dtop + dtop_too,",
        "return dtop,",
        "models/test_multitask.py",
    ),
    Mutant(
        "the pools hear of one head only",
        "models/multitask.py",
        "dmaps[pool] + dmaps_too[pool]",
        "dmaps[pool]",
        "models/test_multitask.py",
    ),
    Mutant(
        "late fusion sums where it should average",
        "models/multimodal.py",
        '"average": 0.5',
        '"average": 1.0',
        "models/test_multimodal.py",
    ),
    Mutant(
        "depth is read as red is",
        "models/surgery.py",
        "weight.mean(axis=1, keepdims=True)",
        "weight[:, 2:]",
        "models/test_multimodal.py",
    ),
    Mutant(
        "fc6 reshaped column by column",
        "models/surgery.py",
        "np.reshape(array, target[name].shape)",
        'np.reshape(array, target[name].shape, order="F")',
        "models/test_surgery.py",
    ),
    Mutant(
        "upsampled fields one cell too small",
        "geometry/fields.py",
        "-(-k // s) - 1",
        "k // s - 1",
        "geometry/test_fields.py",
    ),
    Mutant(
        "a classifier without padding",
        "models/trunk.py",
        "config._replace(pad=1)",
        "config._replace(pad=0)",
        "models/test_surgery.py models/test_build.py",
    ),
    # the zero frame, and memory while scoring
    Mutant(
        "a frame outlives its weights",
        "models/zero_frame.py",
        "and np.array_equal(ours, theirs)",
        "and True",
        ZERO_FRAME,
    ),
    Mutant(
        "a frame outlives its weights' dtype",
        "models/zero_frame.py",
        "ours.dtype == theirs.dtype and",
        "True and",
        ZERO_FRAME,
    ),
    Mutant(
        "the image reaches half a pixel less", "models/zero_frame.py", "(width - 1) / 2", "(width - 2) / 2", ZERO_FRAME
    ),
    Mutant(
        "windows cut Winograd's tiles",
        "models/zero_frame.py",
        "place = _in_tiles(place, OUTPUTS // (2 if len(run) == 3 else 1), out)",
        "place = _in_tiles(place, 1, out)",
        ZERO_FRAME,
    ),
    Mutant(
        "the frame made first makes room",
        "models/zero_frame.py",
        "frame = self._frames.pop(key, None)",
        "frame = self._frames.get(key)",
        ZERO_FRAME,
    ),
    Mutant(
        "scoring keeps its workspace",
        "training/evaluation.py",
        "model.train(was_training).use(workspace)",
        "model.train(was_training)",
        "training/test_loop.py",
    ),
    # dense nets: stitching, rarefying, unpooling, and their geometry
    Mutant(
        "rarefied pools are not dilated",
        "dense/rarefaction.py",
        "layer.dilation = tuple(d * f for d, f in zip(layer.dilation, factor))",
        "layer.dilation = tuple(d * f ** isinstance(layer, Conv2d) for d, f in zip(layer.dilation, factor))",
        "dense/test_rarefaction.py",
    ),
    Mutant(
        "rarefied padding stays",
        "dense/rarefaction.py",
        "layer.padding = tuple(p * f for p, f in zip(layer.padding, factor))",
        "layer.padding = layer.padding",
        "dense/test_rarefaction.py",
    ),
    Mutant(
        "removed strides do not multiply up",
        "dense/rarefaction.py",
        "dilation = tuple(d * r for d, r in zip(dilation, removed))",
        "dilation = tuple(max(d, r) for d, r in zip(dilation, removed))",
        "dense/test_rarefaction.py",
    ),
    Mutant(
        "a rarefied layer keeps its twin's cache",
        "dense/chain.py",
        "return other.eval().train(layer.training)",
        "return other",
        "dense/test_rarefaction.py",
    ),
    Mutant(
        "dilated average pools always count their padding",
        "dense/dilated_pool.py",
        "(pool.kernel_size, 1, padding, False, count)",
        "(pool.kernel_size, 1, padding, False, True)",
        "dense/test_rarefaction.py",
    ),
    Mutant(
        "any stride is stitched with",
        "dense/stitching.py",
        "if given not in (None, known):",
        "if given is None and known is None:",
        "dense/test_rarefaction.py",
    ),
    Mutant(
        "fc6's inputs listed pixel by pixel",
        "dense/classifier.py",
        'theirs["weight"].reshape(shape)',
        'theirs["weight"].reshape(shape[0], *shape[2:], shape[1]).transpose(0, 3, 1, 2)',
        "dense/test_classifier.py",
    ),
    Mutant(
        "pixels follow the cell before them",
        "dense/loss_sampling.py",
        "floor((place - axis.start) / axis.stride + 0.5)",
        "floor((place - axis.start) / axis.stride)",
        "dense/test_loss_sampling.py",
    ),
    Mutant(
        "passes interlaced backwards",
        "layers/shift_and_stitch.py",
        "slice(k, None, f) for k, f in zip(shift, stride)",
        "slice(f - 1 - k, None, f) for k, f in zip(shift, stride)",
        "layers/test_shift_and_stitch.py",
    ),
    Mutant(
        "moved images interlaced as dropped ones",
        "layers/shift_and_stitch.py",
        "slice(-k % f, None, f)",
        "slice(k, None, f)",
        "layers/test_shift_and_stitch.py",
    ),
    Mutant(
        "a pass's gradient goes to the image's corner",
        "layers/shift_and_stitch.py",
        "dx[:, :, shift[0] :, shift[1] :] += dshifted",
        "dx[:, :, : dshifted.shape[2], : dshifted.shape[3]] += dshifted",
        CONTRACT,
    ),
    Mutant(
        "backward draws dropout's masks anew",
        "layers/shift_and_stitch.py",
        "            _rewind(self.net, state)\n",
        "",
        "layers/test_shift_and_stitch.py",
    ),
    Mutant(
        "stitched outputs begin at the image's corner",
        "geometry/fields.py",
        "axis._replace(stride=before.stride) for axis",
        "axis._replace(stride=before.stride, start=before.start) for axis",
        "geometry/test_shift_and_stitch.py",
    ),
    Mutant(
        "an unpooled map begins where the coarse one does",
        "geometry/fields.py",
        "return owner.kernel_size[number], owner.stride[number], owner.padding[number]",
        "return 1 if owner is not layer else owner.kernel_size[number], owner.stride[number], owner.padding[number]",
        "models/test_decoder.py",
    ),
    Mutant(
        "outputs before row 0 are counted",
        "layers/shift_and_stitch.py",
        "_lengths(size, kept)",
        "tuple(size)",
        "geometry/test_shift_and_stitch.py",
    ),
    Mutant(
        "a hole between stitched outputs is no matter",
        "layers/shift_and_stitch.py",
        "if _lengths((height, width), places) != size:",
        "if False:",
        "geometry/test_shift_and_stitch.py",
    ),
    Mutant(
        "padding alone counts as an image",
        "geometry/sizes.py",
        "if min(read.size) < 1:",
        "if min(read.size) < 0:",
        "geometry/test_shift_and_stitch.py",
    ),
    Mutant(
        "a dilated pool that steps over its map fits",
        "geometry/sizes.py",
        "layer.dilation != (1, 1)",
        "layer.dilation == (1, 1)",
        "geometry/test_shift_and_stitch.py",
    ),
    Mutant(
        "the size of maps that start together is the reference's",
        "geometry/sizes.py",
        "return min(have, wanted)",
        "return wanted",
        "models/test_nearest.py",
    ),
    Mutant(
        "stitching costs one pass",
        "geometry/table.py",
        "for _, maps in passes(layer, before[0])",
        "for _, maps in list(passes(layer, before[0]))[:1]",
        "geometry/test_shift_and_stitch.py",
    ),
    Mutant(
        "measured fields one pixel too small",
        "geometry/measured.py",
        "Axis(Fraction(last - first + 1), stride",
        "Axis(Fraction(last - first), stride",
        "geometry/test_measured.py",
    ),
    Mutant(
        "scores that start with the skip keep their size",
        "layers/fusion.py",
        "c if o > 0 else f if o < 0 else min(c, f)",
        "f if o < 0 else c",
        "layers/test_fusion.py",
    ),
    Mutant("upsampled half a pixel off", "layers/upsampler.py", "s // 2 for s", "(s - 1) // 2 for s", UPSAMPLER),
    Mutant("even kernels for odd factors", "layers/upsampler.py", "2 * s - s % 2 for s", "2 * s for s", UPSAMPLER),
    Mutant(
        "padding cut off at one end",
        "ops/upsample.py",
        "matrix[p : len(matrix) - p]",
        "matrix[2 * p :]",
        UPSAMPLE,
    ),
    Mutant(
        "unpooling's gradient read where the pool is now",
        "layers/pooling.py",
        "return ops.max_unpool2d_backward(dy, indices)",
        "return ops.max_unpool2d_backward(dy, self.pool.indices if self.pool else indices)",
        "layers/test_pooling.py",
    ),
    Mutant(
        "unpooled maps of even size",
        "layers/pooling.py",
        "return self.pool.indices, self.pool.input_size",
        "return self.pool.indices, tuple(s * n for s, n in zip(self.pool.stride, self.pool.indices.shape[2:]))",
        "models/test_decoder.py",
    ),
    Mutant(
        "the decoder begins as if every place were filled",
        "models/decoder.py",
        "sparsity = np.prod(layer.kernel_size)",
        "sparsity = 1",
        "models/test_decoder.py",
    ),
    Mutant(
        "the decoder's frame is one pixel wide",
        "models/decoder.py",
        "(layer.kernel_size, layer.stride, layer.padding)",
        "(layer.kernel_size, layer.stride, (1, 1))",
        "models/test_decoder.py",
    ),
    Mutant(
        "nearest neighbour in between, bilinear at the end",
        "models/head.py",
        '"nearest": ("nearest", "nearest")',
        '"nearest": ("nearest", "bilinear")',
        "models/test_nearest.py",
    ),
    # metrics
    Mutant(
        "truth and prediction exchanged",
        "metrics.py",
        "k * labels.astype(np.int64).ravel() + predictions.astype(np.int64).ravel()",
        "k * predictions.astype(np.int64).ravel() + labels.astype(np.int64).ravel()",
        "test_metrics.py",
    ),
    Mutant(
        "ignored pixels counted as background",
        "metrics.py",
        "labels, predictions = labels[valid], predictions[valid]",
        "labels, predictions = np.where(valid, labels, 0), np.where(valid, predictions, 0)",
        "test_metrics.py",
    ),
    Mutant(
        "union counts hits twice",
        "metrics.py",
        "iu=_ratio(hits, true + called - hits)",
        "iu=_ratio(hits, true + called)",
        "test_metrics.py",
    ),
    Mutant(
        "false alarms of absent classes forgiven",
        "metrics.py",
        'averaged = present if absent == "skip" else ~np.isnan(iu)',
        "averaged = present",
        "test_metrics.py",
    ),
    Mutant("boundaries of ignored pixels", "metrics.py", "band & (labels != ignore_index)", "band", "test_metrics.py"),
    # data
    Mutant(
        "-1 is not ignored",
        "datasets/labels.py",
        "np.isin(ids, (-1, *ignore))",
        "np.isin(ids, (*ignore,))",
        "datasets/test_labels.py",
    ),
    Mutant(
        "a named ignore id is not mapped to 255",
        "datasets/labels.py",
        "np.isin(ids, (-1, *ignore))",
        "np.isin(ids, (-1,))",
        "datasets",
    ),
    Mutant(
        "unknown ids let through",
        "datasets/labels.py",
        "checks.file_label_range(ids, num_classes, IGNORE, path)",
        "checks.file_label_range(ids, 255, IGNORE, path)",
        "datasets/test_labels.py",
    ),
    Mutant(
        "padded labels teach class 0",
        "datasets/batches.py",
        "y = np.full((len(images), *heads, height, width), IGNORE, np.int64)",
        "y = np.full((len(images), *heads, height, width), 0, np.int64)",
        "datasets/test_batches.py",
    ),
    Mutant(
        "pictures stay RGB",
        "datasets/transforms.py",
        "colours = [2, 1, 0] if",
        "colours = [0, 1, 2] if",
        "datasets/test_transforms.py",
    ),
    Mutant(
        "labels not mirrored with their picture",
        "datasets/augment.py",
        "return image[:, ::-1], labels[..., ::-1]",
        "return image[:, ::-1], labels",
        "datasets/test_augment.py",
    ),
    Mutant(
        "labels interpolated",
        "datasets/augment.py",
        "Image.Resampling.NEAREST",
        "Image.Resampling.BILINEAR",
        "datasets/test_augment.py",
    ),
    Mutant(
        "HHA turned round as colours are",
        "datasets/transforms.py",
        "[*colours, 3, 4, 5]",
        "[*colours, 5, 4, 3]",
        "datasets/test_transforms.py",
    ),
    Mutant(
        "depth without its logarithm",
        "datasets/images.py",
        "np.log(depth.astype(np.float32))",
        "depth.astype(np.float32)",
        "datasets/test_nyud.py",
    ),
    Mutant(
        "numbers that count from 1 taken for ids",
        "datasets/labels.py",
        "ids = mat_ids(path, variable, field) - first",
        "ids = mat_ids(path, variable, field)",
        "datasets/test_siftflow.py",
    ),
    Mutant("MATLAB's columns read as rows", "datasets/mat.py", 'order="F"', 'order="C"', "datasets/test_mat.py"),
    Mutant(
        "a packed file unpacks as far as it will",
        "datasets/mat.py",
        "unpacker.decompress(body, room + 1)",
        "unpacker.decompress(body)",
        "datasets/test_mat.py",
    ),
    Mutant(
        "each element of a file has all the room",
        "datasets/mat.py",
        "room -= len(unpacked)",
        "room = LARGEST - len(unpacked)",
        "datasets/test_mat.py",
    ),
    Mutant(
        "seg11valid less SBD's val",
        "datasets/pascal.py",
        '/ "train.txt"))',
        '/ "val.txt"))',
        "datasets/test_voc.py",
    ),
    # training
    Mutant(
        "decay after momentum",
        "training/optim.py",
        "v += w * decay",
        "w -= w * decay",
        STEP,
    ),
    Mutant("biases decay", "training/optim.py", '"*bias": (2.0, 0.0)', '"*bias": (2.0, 1.0)', STEP),
    Mutant(
        "accumulated gradients summed",
        "training/optim.py",
        "velocity[name], rate / iter_size,",
        "velocity[name], rate,",
        STEP,
    ),
    Mutant(
        "frozen parameters move", "training/optim.py", "if name in frozen or lr_mult == 0:", "if lr_mult == 0:", STEP
    ),
    Mutant(
        "gradients not reset between steps",
        "training/loop.py",
        "self.model.zero_grad()\n        with np.errstate",
        "with np.errstate",
        STEP,
    ),
    Mutant(
        "both heads learn the semantic labels",
        "training/pair_heads.py",
        "labels[:, head]) for",
        "labels[:, 0]) for",
        "training/test_pair_heads.py",
    ),
    Mutant(
        "a resumed run draws other dropout masks",
        "training/checkpoint.py",
        "generator.bit_generator.state = states[name]",
        "pass",
        STEP,
    ),
    Mutant(
        "a resumed run starts its schedule again",
        "training/checkpoint.py",
        '_velocities(arrays), meta["steps"])',
        "_velocities(arrays), 0)",
        STEP,
    ),
    Mutant(
        "a resumed run draws the first batches again",
        "training/checkpoint.py",
        'batches.load_state_dict(meta["batches"])',
        "pass",
        STEP,
    ),
    # the parts of a batch, and several processes
    Mutant(
        "the mean of the parts' means",
        "engine/loss_shares.py",
        "return mine / np.where(whole > 0, whole, 1)",
        "return mine * 0 + 1 / 2",
        PARALLEL,
    ),
    Mutant(
        "parts of a batch drop the same values",
        "engine/micro_batches.py",
        "layer.others = before + part.start, after + total - part.stop",
        "layer.others = before, after",
        MICRO,
    ),
    Mutant(
        "a part's share of a rank's share is forgotten",
        "training/loop.py",
        "own if shares is None else own * shares",
        "own",
        PARALLEL,
    ),
    Mutant(
        "the generators stay behind",
        "engine/micro_batches.py",
        "generator.bit_generator.state = done[-1][2][name].bit_generator.state",
        "pass",
        MICRO,
    ),
    Mutant(
        "the last part's gradient alone",
        "engine/micro_batches.py",
        "for gradient in grads:",
        "for gradient in grads[-1:]:",
        MICRO,
    ),
    Mutant(
        "a reader's own layers are cut",
        "engine/micro_batches.py",
        'type(layer).__module__.partition(".")[0] == PACKAGE and',
        "True and",
        MICRO,
    ),
    Mutant(
        "a fusion's gradients are not its convolution's",
        "engine/replica.py",
        "if id(value._grads) not in known:",
        "if True:",
        "engine/test_replica.py",
    ),
    Mutant("twins share a generator", "engine/replica.py", "copy.deepcopy(value)", "value", "engine/test_replica.py"),
    Mutant(
        "threads wait inside a part",
        "engine/threads.py",
        "return 1 if _here.busy else most()",
        "return most()",
        THREADS,
    ),
    Mutant(
        "a part is padded to its own size",
        "lab/mpi/parallel.py",
        "size=np.max(sizes, axis=0))",
        "size=None)",
        PARALLEL,
    ),
    Mutant(
        "all ranks drop the same values",
        "lab/mpi/parallel.py",
        "own.start, len(places) - own.stop",
        "0, 0",
        PARALLEL,
    ),
    Mutant("a rank without pictures falls behind", "lab/mpi/parallel.py", "if None in told:", "if False:", PARALLEL),
    Mutant("every rank saves", "lab/mpi/parallel.py", "save if first else None", "save", PARALLEL),
    Mutant(
        "a bucket's end is summed at its beginning",
        "lab/mpi/group.py",
        "start += piece.size",
        "start += 0",
        PARALLEL,
    ),
    # weights from files
    Mutant(
        "weights in another order fill a layer",
        "layers/base.py",
        "return flat or tuple(shape) == tuple(target)",
        "return flat or math.prod(shape) == math.prod(target)",
        "weights/test_npz.py",
    ),
    Mutant(
        "a convolution of one filter loses its leading one",
        "weights/caffemodel.py",
        "if index == 0 and (kind in CONVOLUTIONS or shape[:2] != [1, 1]):",
        "if index == 0 and shape[:2] != [1, 1]:",
        "weights/test_caffemodel.py",
    ),
    Mutant(
        "a tensor may begin anywhere in its storage",
        "weights/torch_objects.py",
        "if offset + reach > storage.length or",
        "if reach > storage.length or",
        "weights/test_hostile.py",
    ),
    Mutant(
        "one stored number repeated without end",
        "weights/torch_objects.py",
        " or math.prod(size) > storage.length",
        "",
        "weights/test_hostile.py",
    ),
    Mutant(
        "a pickle's string is allocated before it is read",
        "weights/pickles.py",
        "data = self.stream.read(min(count, CHUNK))",
        "data = self.stream.read(count)",
        "weights/test_hostile.py",
    ),
    Mutant(
        "a pickle's dict may have tuples as keys",
        "weights/pickles.py",
        "if isinstance(key, str) or (isinstance(key, int) and abs(key) < MOST_INTEGER):",
        "if isinstance(key, (str, int, tuple)):",
        "weights/test_hostile.py",
    ),
    Mutant(
        "gaps between the arrays of a .safetensors",
        "weights/safetensors.py",
        "if begin != end:",
        "if begin < end:",
        "weights/test_hostile.py",
    ),
    Mutant(
        "a big-endian stream",
        "weights/torch_files.py",
        'system.get("little_endian") is True',
        'system.get("little_endian") is not None',
        "weights/test_hostile.py",
    ),
    Mutant(
        "at-once weights in the plain network",
        "weights/identity.py",
        "if theirs != scaled:",
        "if scaled and not theirs:",
        "weights/test_preprocessing.py",
    ),
    Mutant(
        "torchvision's pools not counted",
        "weights/names.py",
        "        number += 1\n",
        "",
        "weights/test_names.py",
    ),
    Mutant(
        "torchvision's weights on Caffe's input",
        "weights/preprocessing.py",
        'if expectation.kind == "torchvision":',
        'if expectation.kind == "RGB":',
        "weights/test_names.py",
    ),
    Mutant(
        "folded without the channels' turn",
        "weights/preprocessing.py",
        "np.ascontiguousarray(folded[:, ::step])",
        "np.ascontiguousarray(folded)",
        "weights/test_preprocessing.py",
    ),
    Mutant(
        "folded with the mean in another order",
        "weights/preprocessing.py",
        "Preprocess(mean[::step],",
        "Preprocess(mean,",
        "weights/test_preprocessing.py",
    ),
    Mutant(
        "a resumed run forgets what its weights expect",
        "cli/train.py",
        "datasets.Preprocess.from_dict(saved) if saved else",
        "",
        "cli/test_weights_cli.py",
    ),
    Mutant("evaluated with dropout", "training/evaluation.py", "model.eval().use", "model.use", "training"),
    # recipes, published numbers, the doctor
    Mutant(
        "a recipe's biases follow the usual rule",
        "cli/train.py",
        "args.momentum, args.weight_decay, multipliers)",
        "args.momentum, args.weight_decay)",
        "cli/test_recipes.py",
    ),
    Mutant(
        "every picture once an epoch, whatever the recipe",
        "cli/train.py",
        "        args.sampling,\n",
        '        "epoch",\n',
        "cli/test_recipes.py",
    ),
    Mutant(
        "a recipe trains on crops", "cli/train.py", "recipe.whole and args.crop is None", "False", "cli/test_recipes.py"
    ),
    Mutant(
        "FCN-8s at FCN-16s's rate",
        "training/recipes.py",
        'model="fcn8s", lr=1e-14, start="fcn16s-heavy"',
        'model="fcn8s", lr=1e-12, start="fcn16s-heavy"',
        "training/test_recipes.py",
    ),
    Mutant(
        "published rows of another input",
        "lab/published.py",
        "(row.model, row.modality) == (model, modality)",
        "row.model == model",
        "lab/test_published.py",
    ),
    Mutant(
        "red and blue swapped, their means not",
        "lab/doctor/preprocessing.py",
        "mean=transform.mean[::-1]",
        "mean=transform.mean",
        "lab/doctor",
    ),
    Mutant(
        "a score that all classes share counts as movement",
        "lab/doctor/preprocessing.py",
        "scores - scores.mean(axis=1, keepdims=True)",
        "scores",
        "lab/doctor",
    ),
    Mutant("the doctor leaves scales behind", "lab/doctor/network.py", "skip.scale = scale\n", "pass\n", "lab/doctor"),
    Mutant(
        "labels cut elsewhere than their picture",
        "lab/doctor/case.py",
        "n - LARGEST, 0) // 2",
        "n - LARGEST, 0) // 2 * (array.ndim - 2)",
        "lab/doctor",
    ),
    # the gradient check itself
    Mutant(
        "checked with an upstream gradient of ones",
        "gradcheck/vjp.py",
        "dy = xp.asarray(rng.normal(size=y.shape))",
        "dy = xp.ones(y.shape)",
        "gradcheck/test_gradcheck.py",
    ),
    # the comparison
    Mutant(
        "shift-and-stitch moved by one pixel a pass",
        "lab/compare/predictors.py",
        'shifted(x, (a * s, b * s), "shift")',
        'shifted(x, (a, b), "shift")',
        "lab/compare/test_predictors.py",
    ),
    Mutant(
        "the tricks' scores put a cell off",
        "lab/compare/predictors.py",
        "moved.append(axis._replace(start=axis.start - before * axis.stride))",
        "moved.append(axis._replace(start=axis.start - before * axis.stride - axis.stride))",
        "lab/compare/test_predictors.py",
    ),
    Mutant(
        "the work of one pass only",
        "lab/compare/predictors.py",
        "moved = range(0, self.coarse_stride, self.stride)",
        "moved = range(0, 1)",
        "lab/compare/test_predictors.py",
    ),
    Mutant(
        "a cached network taken whatever its key",
        "lab/compare/nets.py",
        'if meta["extra"].get("key") != self.settings.key(stage):',
        'if "key" not in meta["extra"]:',
        "lab/compare/test_nets.py",
    ),
    Mutant(
        "a key that forgets what a stage starts from",
        "lab/compare/training_plan.py",
        '"start": None if stage.start is None else self.key(STAGES[stage.start]),',
        '"start": stage.start,',
        "lab/compare/test_training_plan.py",
    ),
    Mutant(
        "patches cut half a patch off",
        "lab/compare/labelled_patches.py",
        "first = int(place) - size // 2",
        "first = int(place)",
        "lab/compare/test_labelled_patches.py",
    ),
    Mutant(
        "border IU away from the border",
        "lab/compare/measuring.py",
        "np.where(band, labels, self.ignore_index)",
        "np.where(band, self.ignore_index, labels)",
        "lab/compare/test_measuring.py",
    ),
    Mutant(
        "peak memory of the last moment",
        "lab/compare/measuring.py",
        "return tracemalloc.get_traced_memory()[1] - before",
        "return tracemalloc.get_traced_memory()[0] - before",
        "lab/compare/test_measuring.py",
    ),
    # kernels
    Mutant(
        "kernels take NumPy's arrays for ever",
        "kernels/emulator.py",
        "ORDER, launch.HOST = before",
        "ORDER, _ = before",
        EMULATOR,
    ),
    Mutant(
        "the emulator runs in one order",
        "kernels/emulator.py",
        "(ORDER, launch.HOST), order,",
        "(ORDER, launch.HOST), 0,",
        EMULATOR,
    ),
    Mutant(
        "the emulator shuffles nothing",
        "kernels/emulator.cpp",
        "if (order > 1) std::shuffle",
        "if (order < 0) std::shuffle",
        EMULATOR,
    ),
    Mutant("an atomic addition forgets its start", "kernels/emulator.h", "= before + value;", "= value;", EMULATOR),
    Mutant(
        "shared memory begins with zeros",
        "kernels/emulator.cpp",
        "memset(shared, 0xFF, shared_bytes)",
        "memset(shared, 0, shared_bytes)",
        EMULATOR,
    ),
    Mutant(
        "im2col without dilation",
        "kernels/im2col.cu",
        "const int u = sh * i + dh * a - ph",
        "const int u = sh * i + a - ph",
        KERNELS,
    ),
    Mutant("the GPU's pool takes the last of equals", "kernels/max_pool.cu", "value > best", "value >= best", KERNELS),
    Mutant(
        "no barrier in the tree of a sum",
        "kernels/reduce.cuh",
        "shared[threadIdx.x + step];\n    __syncthreads();",
        "shared[threadIdx.x + step];",
        KERNELS,
    ),
    Mutant(
        "the weight of a pixel is left out of its gradient",
        "kernels/softmax_cross_entropy.cu",
        "const REAL factor = weight / divisor",
        "const REAL factor = 1 / divisor",
        KERNELS,
    ),
    Mutant("a strip begins before its readers are done", "kernels/gemm.cu", GEMM_BARRIER, "      }\n    }", KERNELS),
    Mutant(
        "the first window that covers a pixel is left out",
        "kernels/windows.cuh",
        "beyond > 0 ? (beyond + s - 1) / s : 0",
        "beyond > 0 ? (beyond + s) / s : 0",
        KERNELS,
    ),
    Mutant(
        "windows behind the last one",
        "kernels/windows.cuh",
        "last < windows ? last : windows - 1",
        "last <= windows ? last : windows - 1",
        KERNELS,
    ),
    Mutant(
        "between two taps is on a tap",
        "kernels/windows.cuh",
        "from_first % d == 0 ? from_first / d : -1",
        "from_first / d",
        KERNELS,
    ),
    Mutant(
        "the GPU turns the kernel about one axis only",
        "kernels/winograd.cu",
        "transform_kernel(w + first + step * j, 3 * step,",
        "transform_kernel(w + (turned ? 6 : 0) + j, 3 * step,",
        KERNELS,
    ),
    Mutant(
        "the last band's products are the whole gradient",
        "kernels/winograd.py",
        "dkernel += xp.matmul(gradients, tiles)",
        "dkernel = xp.matmul(gradients, tiles)",
        KERNELS,
    ),
    Mutant(
        "a pixel gets its first window's gradient only",
        "kernels/max_pool.cu",
        "      sum += dy[plane + order[next] * C];",
        "      sum = dy[plane + order[at] * C];",
        KERNELS,
    ),
    Mutant(
        "a thread's number is 32 bits wide",
        "kernels/common.cuh",
        "idx_t i = (idx_t)blockIdx.x * blockDim.x + threadIdx.x",
        "idx_t i = blockIdx.x * blockDim.x + threadIdx.x",
        FAR,
    ),
    Mutant(
        "a product of matrices is placed in 32 bits",
        "kernels/gemm.cu",
        "C[(idx_t)m * N + n] = sum[r][q]",
        "C[m * N + n] = sum[r][q]",
        FAR,
    ),
    Mutant(
        "the emulator runs another block than it is told",
        "kernels/emulator.cpp",
        "std::iota(turns.begin(), turns.end(), first);",
        "std::iota(turns.begin(), turns.end(), 0u);",
        FAR,
    ),
    Mutant(
        "the halves of a random number exchanged",
        "kernels/dropout.cu",
        "half % 2 ? 32 : 0",
        "half % 2 ? 0 : 32",
        "kernels/test_random.py",
    ),
    Mutant(
        "the spare half of a random number is forgotten",
        "kernels/random.py",
        'halves = count - before["has_uint32"]',
        "halves = count",
        "kernels/test_random.py",
    ),
    Mutant(
        "a kernel is given any dtype",
        "kernels/launch.py",
        "if array.dtype != dtype:",
        "if False:",
        "kernels/test_launch.py",
    ),
    Mutant(
        "the dropout mask is copied to the GPU",
        "layers/activation.py",
        "if xp is not np and isinstance(",
        "if xp is np and isinstance(",
        "kernels/test_step.py",
    ),
    # fcn bench
    Mutant(
        "ratio upside down",
        "lab/bench/measuring.py",
        "ratio=time.median / ours",
        "ratio=ours / time.median",
        "lab/bench/test_report.py",
    ),
    Mutant(
        "an error of one sign is none",
        "lab/bench/measuring.py",
        "np.abs(scores - truth).max()",
        "(scores - truth).max()",
        "lab/bench/test_report.py",
    ),
    Mutant(
        "the same rival is always first",
        "lab/bench/timing.py",
        "start = number % len(names)",
        "start = 0",
        "lab/bench/test_timing.py",
    ),
    Mutant(
        "threads not handed on",
        "lab/bench/processes.py",
        "for name in THREADS}",
        "for name in THREADS[1:]}",
        "lab/bench/test_processes.py",
    ),
    Mutant(
        "a training step taken for a forward",
        "lab/bench/work.py",
        "times = 1 + self.train *",
        "times = 1 + False *",
        "lab/bench/test_work.py",
    ),
    Mutant(
        "nobody asks whether the device waited for the host",
        "lab/bench/clocks.py",
        "waited = self.passed(start)",
        "waited = False",
        "lab/bench/test_clocks.py",
    ),
    Mutant(
        "an event's time is read before it happened",
        "lab/bench/clocks.py",
        "        end.synchronize()\n",
        "",
        "lab/bench/test_clocks.py",
    ),
    Mutant(
        "TF32 is on, and said to be off",
        "lab/bench/gpu.py",
        '"CUPY_TF32": "1" if tf32 else "0",',
        '"CUPY_TF32": "1",',
        GPU_BENCH,
    ),
    Mutant(
        "TF32 is tried with a number it can hold",
        "lab/bench/gpu.py",
        "FINE = 1 + 2.0**-12",
        "FINE = 1 + 2.0**-9",
        GPU_BENCH,
    ),
    Mutant(
        "a copy is counted once",
        "lab/bench/gpu.py",
        '"copy": self.busy.nbytes',
        '"copy": self.busy[0].nbytes',
        GPU_BENCH,
    ),
    Mutant(
        "the farther ceiling is named",
        "lab/bench/measuring.py",
        "return max(shares)",
        "return min(shares)",
        "lab/bench/test_report.py",
    ),
    Mutant(
        "kernels that are said to be off",
        "lab/bench/cupy_rival.py",
        "launch.ON = kernels",
        "launch.ON = True",
        GPU_BENCH,
    ),
    Mutant(
        "sgd's arrays are counted once",
        "lab/bench/kernel_cases/pixelwise.py",
        "2 * read_and_written + grad.nbytes",
        "read_and_written + grad.nbytes",
        "lab/bench/test_kernel_cases.py",
    ),
    Mutant(
        "CuPy's side of a pool passes the gradient to everybody",
        "lab/bench/kernel_cases/pooling.py",
        "tap[...] = dy * (winner == place)",
        "tap[...] = dy * (winner >= place)",
        "lab/bench/test_kernel_cases.py",
    ),
]


def mutated(mutant, root=ROOT):
    """The mutant's source text. Raises: ValueError when its text is not there exactly once."""
    source = (root / PACKAGE / mutant.file).read_text(encoding="utf-8")
    if source.count(mutant.text) != 1:
        raise ValueError(f"{mutant.name!r}: {mutant.file} holds its text {source.count(mutant.text)} times, not once")
    return source.replace(mutant.text, mutant.replacement)


def copy_tree(folder):
    """What the tests need, in a new folder."""
    for name in (PACKAGE, "tests", "data"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", folder)


def run_tests(folder, tests):
    """pytest's exit status over the copy in `folder` (1: a test failed), and the last lines of what it said."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header"]
    command += ["-m", "not torch and not gpu and not slow", *(f"tests/{part}" for part in tests.split())]
    # the copy comes before an installed package; hypothesis draws the same examples every time
    environment = os.environ | {"PYTHONPATH": str(folder), "CI": "1", "OMP_NUM_THREADS": "1"}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return 1, "out of time"
    return done.returncode, done.stdout[-1500:] + done.stderr[-500:]


def try_mutant(mutant):
    """(verdict, seconds, what pytest said): "killed", "SURVIVED", or "BROKEN" when the tests could not even run."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        folder = Path(folder)
        copy_tree(folder)
        (folder / PACKAGE / mutant.file).write_text(mutated(mutant), encoding="utf-8")
        status, said = run_tests(folder, mutant.tests)
    verdict = {0: "SURVIVED", 1: "killed"}.get(status, "BROKEN")
    return verdict, time.monotonic() - start, said


def unharmed(mutants):
    """Without a mutant the same tests pass; else a failure would mean nothing."""
    tests = " ".join(sorted({part for mutant in mutants for part in mutant.tests.split()}))
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy_tree(Path(folder))
        status, said = run_tests(Path(folder), tests)
    if status:
        print(f"the tests fail without any mutant:\n{said}", file=sys.stderr)
    return status == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", metavar="WORD", default="", help="mutants whose name contains the word")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many at once")
    args = parser.parse_args()
    mutants = [mutant for mutant in MUTANTS if args.only in mutant.name]
    if not mutants:
        parser.error(f"no mutant's name contains {args.only!r}; see --list")
    if args.list:
        for mutant in mutants:
            print(f"{mutant.file:28} {mutant.name}")
        return 0
    if not unharmed(mutants):
        return 2
    left = []
    with ThreadPoolExecutor(max(args.jobs, 1)) as pool:
        running = {pool.submit(try_mutant, mutant): mutant for mutant in mutants}
        for future in as_completed(running):
            mutant, (verdict, seconds, said) = running[future], future.result()
            print(f"{verdict:9} {seconds:6.1f} s  {mutant.file:28} {mutant.name}", flush=True)
            if verdict != "killed":
                left.append(mutant.name)
                print(said if verdict == "BROKEN" else f"          not noticed by tests/{mutant.tests}")
    print(f"{len(mutants) - len(left)} of {len(mutants)} killed")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
