"""Mistakes in Winograd's convolution, F(4, 3) and F(2, 7)."""

from planting import Mutant

CONV = "ops/test_conv.py"
PREPARE = "layers/test_prepare.py"
RUNS = "layers/test_fused.py"
WINO = "engine/test_winograd.py"
WINO_WIDE = "engine/test_winograd_wide.py"

MUTANTS = [
    Mutant(
        "bands start too low",
        "engine.winograd_tiles.input_tiles",
        "OUTPUTS * band.rows.start - ph",
        "OUTPUTS * band.rows.start - pw",
        WINO,
    ),
    Mutant(
        "padding only at the top",
        "engine.winograd_tiles.input_tiles",
        "_phases(vertical, pw,",
        "_phases(vertical, ph,",
        WINO,
    ),
    Mutant(
        "bias added to another frequency",
        "engine.winograd.MEAN",
        "MEAN = 7",
        "MEAN = 8",
        WINO,
    ),
    Mutant(
        "Winograd's kernel is not turned",
        "engine.winograd_transforms.transform_kernel",
        "KERNEL[:, ::-1] if turned",
        "KERNEL if turned",
        WINO,
    ),
    Mutant(
        "Winograd's weight gradient keeps the last group only",
        "engine.winograd.winograd_weight_grad",
        "dkernel[frequency] += product",
        "dkernel[frequency] = product",
        WINO,
    ),
    Mutant(
        "additions that are not B^T",
        "engine.winograd_transforms.transform_input",
        "subtract(out[5], odd, out=out[5])  # 4 d1 - 5 d3 + d5",
        "add(out[5], odd, out=out[5])",
        WINO,
    ),
    Mutant(
        "zeros beyond the output win a pool",
        "engine.winograd_tiles.write_pooled",
        "tiles[below:, :, :, -1] = -math.inf",
        "pass",
        RUNS,
    ),
    Mutant(
        "winograd in float64",
        "engine.conv._winograd_pays",
        "and dtype == np.float32",
        "",
        "engine/test_conv.py",
    ),
    Mutant(
        "the transformed weight lies as a forward makes it",
        "engine.winograd.transformed_weight",
        "ascontiguousarray(kernel.transpose(0, 2, 1))",
        "ascontiguousarray(kernel)",
        f"{WINO} {PREPARE}",
    ),
    Mutant(
        "the transformed weight is a view",
        "engine.winograd.transformed_weight",
        "return get_array_module(weight).ascontiguousarray(kernel.transpose(0, 2, 1))",
        "return kernel.transpose(0, 2, 1)",
        WINO,
    ),
    Mutant(
        "the transformed weight is for the gradient",
        "engine.winograd.transformed_weight",
        "kernel, _, _ = _kernel(weight, weight, None)",
        "kernel, _, _ = _kernel(weight, weight, None, turned=True)",
        WINO,
    ),
    Mutant(
        "a transformed weight of another dtype is used",
        "engine.winograd._forward_kernel",
        "if transformed is not None and transformed.dtype == checks.floating_result(xp, x, weight):",
        "if transformed is not None:",
        f"{WINO} {PREPARE}",
    ),
    Mutant(
        "F(2, 7) at a point whose powers are large",
        "engine.winograd_wide.POINTS",
        '2, -2, "1/2", "-1/2")',
        '2, -2, "1/2", 3)',
        WINO_WIDE,
    ),
    Mutant(
        "F(2, 7) has no tile for the last odd row",
        "engine.winograd_wide.winograd_wide_conv2d",
        "(rows, columns), inputs = [-(-n // OUTPUTS) for n in (oh, ow)],",
        "(rows, columns), inputs = [-(-oh // OUTPUTS), max(ow // OUTPUTS, 1)],",
        WINO_WIDE,
    ),
    Mutant(
        "F(2, 7) has zeros behind the other axis",
        "engine.winograd_wide.winograd_wide_conv2d",
        "extra=(oh % OUTPUTS, ow % OUTPUTS)",
        "extra=(ow % OUTPUTS, oh % OUTPUTS)",
        WINO_WIDE,
    ),
    Mutant(
        "F(2, 7) adds the bias after ReLU",
        "engine.winograd_wide.winograd_wide_conv2d",
        """
            if bias is not None:
                pixels += bias[filters, None, None, None]
            if relu:
                np.maximum(pixels, 0, out=pixels)
        """,
        """
            if relu:
                np.maximum(pixels, 0, out=pixels)
            if bias is not None:
                pixels += bias[filters, None, None, None]
        """,
        WINO_WIDE,
    ),
    Mutant(
        "F(2, 7) gives every part of the filters the first biases",
        "engine.winograd_wide.winograd_wide_conv2d",
        "pixels += bias[filters, None",
        "pixels += bias[: filters.stop - filters.start, None",
        WINO_WIDE,
    ),
    Mutant(
        "F(2, 7)'s weights transformed in float32",
        "engine.winograd_wide.transformed_wide_weight",
        ".astype(np.float64)",
        ".astype(np.float32)",
        WINO_WIDE,
    ),
    Mutant(
        "F(2, 7)'s axes exchanged",
        "engine.winograd_wide.transformed_wide_weight",
        "np.kron(_matrices(kh)[1], _matrices(kw)[1])",
        "np.kron(_matrices(kw)[1], _matrices(kh)[1])",
        WINO_WIDE,
    ),
]
