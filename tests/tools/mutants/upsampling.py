"""Mistakes in bilinear and nearest-neighbour upsampling."""

from planting import Mutant

UPSAMPLE = "ops/test_upsample.py"
UPSAMPLER = "layers/test_upsampling.py"

MUTANTS = [
    Mutant(
        "two planes upsampled from one",
        "engine.pixelwise.both_axes",
        "planes[part].reshape(-1, w) @ horizontal.T",
        "planes[: part.stop - part.start].reshape(-1, w) @ horizontal.T",
        UPSAMPLE,
    ),
    Mutant(
        "upsampled scores lie outside the network's workspace",
        "engine.pixelwise.both_axes",
        "empty_from(workspace, xp)",
        "empty_from(None, xp)",
        "engine/test_workspace.py",
    ),
    Mutant(
        "bilinear centre of odd kernels half a pixel off",
        "ops.upsample._kernel_row",
        "centre = factor - 1 if size % 2 else factor - 0.5",
        "centre = factor - 0.5",
        UPSAMPLE,
    ),
    Mutant(
        "nearest neighbour's gradient averaged",
        "ops.upsample.upsample_nearest_backward",
        "return _cells(dy, scale).sum(axis=(3, 5))",
        "return _cells(dy, scale).mean(axis=(3, 5))",
        UPSAMPLE,
    ),
    Mutant(
        "corners aligned by the pixel count",
        "ops.upsample._resample_matrices",
        "(n - 1) / (m - 1)",
        "n / m",
        UPSAMPLE,
    ),
    Mutant(
        "twofold upsampling starts at random",
        "layers.upsampler._one_step",
        "return layer.init_bilinear()",
        "return layer",
        "models/test_build.py models/test_surgery.py",
    ),
    Mutant(
        "upsampled half a pixel off",
        "layers.upsampler._one_step",
        "s // 2 for s",
        "(s - 1) // 2 for s",
        UPSAMPLER,
    ),
    Mutant(
        "even kernels for odd factors",
        "layers.upsampler._one_step",
        "2 * s - s % 2 for s",
        "2 * s for s",
        UPSAMPLER,
    ),
    Mutant(
        "padding cut off at one end",
        "ops.upsample._spread_matrix",
        "matrix[p : len(matrix) - p]",
        "matrix[2 * p :]",
        UPSAMPLE,
    ),
]
