"""Patchwise training as loss sampling: masks that say which cells' losses count, and the patches that cells stand for.

There are two masks for ops.softmax_cross_entropy. The paper drops cells of the final layer. For a loss on the coarse
map with coarse labels, pixel_mask does this. For a loss on upsampled scores, at the image's size, cell_mask does it: it
keeps or drops all pixels of a cell together. pixel_mask on upsampled scores is another scheme, in which nearly every
cell keeps some pixels.
"""

from math import floor

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.backend import get_array_module, to_numpy
from fcn_from_scratch.geometry.fields import axes_of


def pixel_mask(shape, keep, rng):
    """Keep each place of a map with probability `keep`, independently of all others.

    mask[n, i, j] = (u < keep), u uniform in [0, 1)

    shape   the shape of the labels in the loss: (N, H, W), or (N, h, w) for the cells of a coarse map
    rng     a numpy Generator, the only source of random numbers here
    Returns: a bool array of that shape, on the host.
    Identity: the gradient of the summed loss under the mask, divided by keep, is on average the gradient of the whole
    loss  (tests/dense/test_loss_sampling.py).
    Raises: ValueError for a probability that is not above 0 and at most 1, an rng that is no Generator, an empty shape.
    Source: Long et al. 2015, sections 3.4 and 4.3. Lesson 13.
    """
    shape, keep = _shape(shape), _keep(keep)
    return _generator(rng).random(shape) < keep


def cell_mask(shape, field, keep, rng):
    """Keep each cell of a coarse map with probability `keep`, together with all pixels that are nearest to the cell.

    This is the paper's scheme for a loss at the image's size.

    mask[n, y, x] = coin[n, round((y - start) / stride), round((x - start) / stride)]

    shape       the shape (N, H, W) of the labels
    field       the grid of the coarse scores: geometry.receptive_field(net). The grid continues beyond the map, so that
                every pixel has a cell. A pixel half way between two cells belongs to the later one
    keep, rng   as in pixel_mask
    Returns: a bool array (N, H, W), on the host.
    Raises: ValueError as pixel_mask does, and for a shape that does not have three axes.
    Source: Long et al. 2015, sections 3.4 and 4.3. Lesson 13.
    """
    shape = _shape(shape)
    if len(shape) != 3:
        raise ValueError(f"shape must be that of label maps, (N, H, W); got {shape}")
    cells = []
    for axis, length in zip(axes_of(field, "field"), shape[1:]):
        nearest = np.array([floor((place - axis.start) / axis.stride + 0.5) for place in range(length)])
        cells.append(nearest - nearest[0])
    rows, columns = cells
    coins = pixel_mask((shape[0], rows[-1] + 1, columns[-1] + 1), keep, rng)
    return coins[:, rows[:, None], columns]


def labels_at_cells(labels, field, size):
    """The label at the centre of each cell's receptive field, for a loss on the coarse map itself.

    coarse[n, i, j] = labels[n, floor(start + stride*i), floor(start + stride*j)]

    The centre of a field of even size lies between two pixels; the first of them is taken.

    labels  (N, H, W)
    field   the grid of the scores: geometry.receptive_field(net)
    size    (h, w) of the scores, scores.shape[2:]
    Returns: labels (N, h, w) of the same dtype; 255 stays 255.
    Raises: ValueError when a cell's centre lies outside the labels.
    Source: Long et al. 2015, section 3.1. Lesson 13.
    """
    checks.ndim(labels, 3, "labels", "(N, H, W)")
    checks.integer_labels(labels)
    xp, places = get_array_module(labels), []
    for axis, cells, length in zip(axes_of(field, "field"), checks.pair(size, "size", 1), labels.shape[1:]):
        at = [floor(axis.start + axis.stride * cell) for cell in range(cells)]
        if at[0] < 0 or at[-1] >= length:
            raise ValueError(
                f"{cells} cells have their centres at pixels {at[0]} to {at[-1]}, and the labels end at {length - 1}. "
                "Is the net padded, or does the map belong to another image?"
            )
        places.append(xp.asarray(at))
    rows, columns = places
    return labels[:, rows[:, None], columns]


def patches(x, field, mask=None):
    """Cut out the receptive fields of cells. Patchwise training would feed these patches to the net.

    y[k] = x[n, :, top : top + size, left : left + size],   top = stride*i + start - (size - 1)/2 for cell (n, i, j)

    mask    (N, h, w), bool: the cells to cut out, in row-major order. None takes all cells whose field lies inside the
            image
    Shapes: x (N, C, H, W); y (K, C, kh, kw) with the field's size.
    Identity: with reduction "sum" the gradients of an unpadded net over the patches add up to its gradient over the
    image under the mask, to 1e-12 in float64  (tests/dense/test_loss_sampling.py). With "mean" each of the two losses
    is divided by its own count.
    Raises: ValueError for a padded net, whose first field begins outside the image. A patch would be padded in another
    place than the image is, and the identity would not hold. Also when a field reaches beyond the image, when the net
    upsamples, and when no cell is kept.
    Source: Long et al. 2015, section 3.4. Lesson 13.
    """
    checks.ndim(x, 4, "x", "(N, C, H, W)")
    windows = [_windows(axis) for axis in axes_of(field, "field")]
    whole = tuple((length - begin - size) // stride + 1 for length, (begin, size, stride) in zip(x.shape[2:], windows))
    if min(whole) < 1:
        raise ValueError(f"an image of {x.shape[2]}x{x.shape[3]} pixels holds no whole field: {field}")
    if mask is None:
        mask = np.ones((x.shape[0], *whole), bool)
    mask = to_numpy(mask)
    checks.ndim(mask, 3, "mask", "(N, h, w)")
    if mask.dtype != bool:
        raise ValueError(f"mask must be True or False for each cell; got dtype {mask.dtype}")
    if mask.shape[0] != x.shape[0] or any(cells > most for cells, most in zip(mask.shape[1:], whole)):
        raise ValueError(f"x {tuple(x.shape)} has cells {(x.shape[0], *whole)} at most; got a mask {mask.shape}")
    if not mask.any():
        raise ValueError("the mask keeps no cell: there is nothing to cut out")
    (top, height, down), (left, width, across) = windows
    cut = []
    for n, i, j in np.argwhere(mask):
        y0, x0 = top + down * i, left + across * j
        cut.append(x[n, :, y0 : y0 + height, x0 : x0 + width])
    return get_array_module(x).stack(cut)


def _windows(axis):
    """(begin, size, stride) of the fields along one axis, in whole pixels. `begin` is where cell 0's field begins."""
    begin = axis.start - (axis.size - 1) / 2
    if any(number.denominator != 1 for number in (begin, axis.size, axis.stride)):
        raise ValueError(
            "the cells do not stand on whole pixels: patches are cut for the coarse map, before upsampling"
        )
    if begin < 0:
        raise ValueError(
            f"the first field begins {-begin} pixels before the image: the net pads. A patch would be padded in "
            "other places than the image, so only an unpadded net gives the same on both"
        )
    return int(begin), int(axis.size), int(axis.stride)


def _shape(shape):
    try:
        shape = tuple(checks.integer(size, "each size of the shape", 1) for size in shape)
    except TypeError:
        raise ValueError(f"shape must be that of the labels, (N, H, W); got {shape!r}") from None
    if not shape:
        raise ValueError("shape must be that of the labels, (N, H, W); got ()")
    return shape


def _keep(keep):
    if not 0 < keep <= 1:
        raise ValueError(f"keep must be a probability above 0 and at most 1; got {keep!r}")
    return float(keep)


def _generator(rng):
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a numpy Generator, for example np.random.default_rng(0); got {rng!r}")
    return rng
