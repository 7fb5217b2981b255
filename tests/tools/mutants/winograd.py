"""Mistakes in Winograd's convolution, F(4, 3) and F(4, 7)."""

from planting import Mutant

CONV = "ops/test_conv.py"
PREPARE = "layers/test_prepare.py"
RUNS = "layers/test_fused.py"
WINO = "engine/test_winograd.py"
WINO_WIDE = "engine/test_winograd_wide.py"
SMALL = "engine/test_small_products.py"
FREQUENCIES = "engine/test_winograd_frequencies.py"

MUTANTS = [
    Mutant(
        "bands start too low",
        "engine.winograd_tiles.tiles_of",
        "OUTPUTS * band.rows.start - ph",
        "OUTPUTS * band.rows.start - pw",
        WINO,
    ),
    Mutant(
        "padding only at the top",
        "engine.winograd_tiles.tiles_of",
        "vertical[:, :, :, pw : pw + width].reshape",
        "vertical[:, :, :, ph : ph + width].reshape",
        WINO,
    ),
    Mutant(
        "bias added to another frequency",
        "engine.winograd_tiles.MEAN",
        "MEAN = 7",
        "MEAN = 8",
        WINO,
    ),
    Mutant(
        "Winograd's kernel is not turned",
        "engine.winograd_transforms.transform_kernel",
        "KERNEL[some, ::-1] if turned",
        "KERNEL[some] if turned",
        WINO,
    ),
    Mutant(
        "Winograd's weight gradient keeps the last group only",
        "engine.winograd_weight_grad._frequency_by_frequency",
        "dkernel[frequency] += product",
        "dkernel[frequency] = product",
        WINO,
    ),
    Mutant(
        "a tile is transformed with another matrix along its rows",
        "engine.winograd_weight_grad._Images.transform",
        "tiles_of(self.xp, OUTPUT.T,",
        "tiles_of(self.xp, OUTPUT.T[::-1],",
        WINO,
    ),
    Mutant(
        "Winograd's weight gradient leaves out a sum",
        "engine.winograd_weight_grad._band_by_band",
        "for other in sums[1:]:",
        "for other in sums[2:]:",
        WINO,
    ),
    Mutant(
        "Winograd's gradient of the bias has the last group only",
        "engine.winograd_weight_grad._frequency_by_frequency",
        "dbias = dbias + ",
        "dbias = 0 * dbias + ",
        WINO,
    ),
    Mutant(
        "columns before the first tile hold old numbers",
        "engine.winograd_tiles.tiles_of",
        "vertical[:, :, :, :pw] = sides",
        "pass",
        WINO,
    ),
    Mutant(
        "columns behind the image hold old numbers",
        "engine.winograd_tiles.tiles_of",
        "vertical[:, :, :, pw + width :] = sides",
        "pass",
        WINO,
    ),
    Mutant(
        "a part of a band forgets the tiles before it",
        "engine.winograd_tiles.parts",
        "start += part.tiles",
        "start = part.tiles",
        WINO,
    ),
    Mutant(
        "the rows that are left over are dropped",
        "engine.small_products.multiply",
        "(whole, rows, rows - whole)",
        "(whole, whole, 1)",
        SMALL,
    ),
    Mutant(
        "groups of columns in another order",
        "engine.small_products.grouped",
        "b.reshape(places, inner, -1, width).swapaxes(1, 2)",
        "b.reshape(places, inner, width, -1).transpose(0, 3, 1, 2)",
        SMALL,
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
        "the transformed weight is for the gradient",
        "engine.winograd.transformed_weight",
        "xp.empty, weight.dtype)",
        "xp.empty, weight.dtype, turned=True)",
        WINO,
    ),
    Mutant(
        "a transformed weight of another dtype is used",
        "engine.winograd._convolve",
        "transformed if transformed is not None and transformed.dtype == dtype else None",
        "transformed",
        f"{WINO} {PREPARE}",
    ),
    Mutant(
        "rows beyond a part of a map are zero",
        "engine.winograd_tiles._rows",
        "beyond = 0 if beyond is None else beyond",
        "beyond = 0",
        FREQUENCIES,
    ),
    Mutant(
        "columns beyond a part of a map are zero",
        "engine.winograd_tiles.tiles_of",
        "sides = 0 if beyond is None else",
        "sides = 0 if True else",
        FREQUENCIES,
    ),
    Mutant(
        "a part of a map has as much padding behind it as before it",
        "engine.winograd._output_size",
        "beyond.size if beyond else",
        "beyond.size if False else",
        FREQUENCIES,
    ),
    Mutant(
        "each part of the kernel is the first frequencies",
        "engine.winograd_transforms.transform_kernel",
        "KERNEL[some])",
        "KERNEL[: len(KERNEL[some])])",
        FREQUENCIES,
    ),
    Mutant(
        "a kernel transformed in advance is read from its beginning",
        "engine.winograd_frequencies.kernel_of",
        "kernel[some, 0]",
        "kernel[: some.stop - some.start, 0]",
        FREQUENCIES,
    ),
    Mutant(
        "bands that are computed at once take each other's places",
        "engine.winograd_frequencies.convolve",
        "count += band.tiles",
        "count = band.tiles",
        FREQUENCIES,
    ),
    Mutant(
        "F(4, 7) at a point whose powers are large",
        "engine.winograd_wide.POINTS",
        '"3/4", "-4/3")',
        "3, 4)",
        WINO_WIDE,
    ),
    Mutant(
        "F(4, 7) adds the bias after ReLU",
        "engine.winograd_wide.winograd_wide_conv2d",
        """
            if bias is not None:
                pixels += bias[filters, None, None, None]
            if relu:
                rectify(pixels, pixels)
        """,
        """
            if relu:
                rectify(pixels, pixels)
            if bias is not None:
                pixels += bias[filters, None, None, None]
        """,
        WINO_WIDE,
    ),
    Mutant(
        "F(4, 7) gives every part of the filters the first biases",
        "engine.winograd_wide.winograd_wide_conv2d",
        "pixels += bias[filters, None",
        "pixels += bias[: filters.stop - filters.start, None",
        WINO_WIDE,
    ),
    Mutant(
        "F(4, 7)'s patches are as wide as the kernel is high",
        "engine.winograd_wide._input_tiles",
        "(W, kw, 1)",
        "(W, kh, 1)",
        WINO_WIDE,
    ),
    Mutant(
        "F(4, 7) has no tile for the last rows",
        "engine.winograd_wide.winograd_wide_conv2d",
        "rows = -(-oh // OUTPUTS)",
        "rows = max(oh // OUTPUTS, 1)",
        WINO_WIDE,
    ),
    Mutant(
        "F(4, 7) has zeros behind the other axis",
        "engine.winograd_wide._input_tiles",
        "extra=(OUTPUTS * rows - oh, 0))",
        "extra=(0, OUTPUTS * rows - oh))",
        WINO_WIDE,
    ),
    Mutant(
        "F(4, 7) reads every image from the first",
        "engine.winograd_wide._input_tiles",
        "source[image, OUTPUTS",
        "source[0, OUTPUTS",
        WINO_WIDE,
    ),
    Mutant(
        "F(4, 7) takes the last product's weights from the kernel's first row",
        "engine.winograd_wide.winograd_wide_conv2d",
        "np.matmul(taps[:, -1],",
        "np.matmul(taps[:, 0],",
        WINO_WIDE,
    ),
    Mutant(
        "F(4, 7) loses the factor of its first product",
        "engine.winograd_wide._matrices",
        "[g[0][0] * value for value in b[0]]",
        "b[0]",
        WINO_WIDE,
    ),
    Mutant(
        "F(4, 7) in float64",
        "engine.conv.choose",
        "positions >= LARGE_KERNEL_PLACES and dtype == np.float32",
        "positions >= LARGE_KERNEL_PLACES",
        WINO_WIDE,
    ),
]
