"""Mistakes in shift-and-stitch, filter rarefaction and loss sampling."""

from planting import Mutant

CONTRACT = "layers/test_contract.py"

MUTANTS = [
    Mutant(
        "rarefied pools are not dilated",
        "dense.rarefaction._strided",
        "layer.dilation = tuple(d * f for d, f in zip(layer.dilation, factor))",
        "layer.dilation = tuple(d * f ** isinstance(layer, Conv2d) for d, f in zip(layer.dilation, factor))",
        "dense/test_rarefaction.py",
    ),
    Mutant(
        "rarefied padding stays",
        "dense.rarefaction._strided",
        "layer.padding = tuple(p * f for p, f in zip(layer.padding, factor))",
        "layer.padding = layer.padding",
        "dense/test_rarefaction.py",
    ),
    Mutant(
        "removed strides do not multiply up",
        "dense.rarefaction.Place.after",
        "tuple(d * r for d, r in zip(self.dilation, removed))",
        "tuple(max(d, r) for d, r in zip(self.dilation, removed))",
        "dense/test_rarefaction.py",
    ),
    Mutant(
        "a branch begins where another ended",
        "dense.rarefaction._side_by_side",
        "lambda branch: _rarefied(chain(branch), place)[0]",
        "lambda branch: _rarefied(chain(branch), ends[0])[0]",
        "dense/test_branches.py",
    ),
    Mutant(
        "a rarefied layer keeps its twin's cache",
        "dense.chain.share_weights",
        "return other.eval().train(layer.training)",
        "return other",
        "dense/test_rarefaction.py",
    ),
    Mutant(
        "dilated average pools always count their padding",
        "dense.dilated_pool.DilatedAvgPool2d.__init__",
        "(pool.kernel_size, 1, padding, False, count)",
        "(pool.kernel_size, 1, padding, False, True)",
        "dense/test_rarefaction.py",
    ),
    Mutant(
        "any stride is stitched with",
        "dense.stitching._stride",
        "if given not in (None, known):",
        "if given is None and known is None:",
        "dense/test_rarefaction.py",
    ),
    Mutant(
        "fc6's inputs listed pixel by pixel",
        "dense.classifier._as_convolution",
        'theirs["weight"].reshape(shape)',
        'theirs["weight"].reshape(shape[0], *shape[2:], shape[1]).transpose(0, 3, 1, 2)',
        "dense/test_classifier.py",
    ),
    Mutant(
        "pixels follow the cell before them",
        "dense.loss_sampling.cell_mask",
        "floor((place - axis.start) / axis.stride + 0.5)",
        "floor((place - axis.start) / axis.stride)",
        "dense/test_loss_sampling.py",
    ),
    Mutant(
        "passes interlaced backwards",
        "layers.shift_and_stitch._places",
        "slice(k, None, f) for k, f in zip(shift, stride)",
        "slice(f - 1 - k, None, f) for k, f in zip(shift, stride)",
        "layers/test_shift_and_stitch.py",
    ),
    Mutant(
        "moved images interlaced as dropped ones",
        "layers.shift_and_stitch._places",
        "slice(-k % f, None, f)",
        "slice(k, None, f)",
        "layers/test_shift_and_stitch.py",
    ),
    Mutant(
        "a pass's gradient goes to the image's corner",
        "layers.shift_and_stitch.ShiftAndStitch._backward",
        "dx[:, :, shift[0] :, shift[1] :] += dshifted",
        "dx[:, :, : dshifted.shape[2], : dshifted.shape[3]] += dshifted",
        CONTRACT,
    ),
    Mutant(
        "backward draws dropout's masks anew",
        "layers.shift_and_stitch.ShiftAndStitch._passes_again",
        "_rewind(self.net, state)",
        "",
        "layers/test_shift_and_stitch.py",
    ),
    Mutant(
        "outputs before row 0 are counted",
        "layers.shift_and_stitch.interlaced_size",
        "_lengths(size, kept)",
        "tuple(size)",
        "geometry/test_shift_and_stitch.py",
    ),
    Mutant(
        "a hole between stitched outputs is no matter",
        "layers.shift_and_stitch.interlaced_size",
        "if _lengths((height, width), places) != size:",
        "if False:",
        "geometry/test_shift_and_stitch.py",
    ),
]
