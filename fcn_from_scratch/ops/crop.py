"""Cropping a map to a window. FCN aligns the maps of different layers with it."""

from fcn_from_scratch import checks
from fcn_from_scratch.backend import get_array_module


def crop(x, offset, size):
    """Cut out the window of the given size that starts at the offset.

    y[n, c, i, j] = x[n, c, oy + i, ox + j]        (a view)

    Shapes: x (N, C, H, W); offset (oy, ox) and size (h, w) integers or pairs (vertical, horizontal).
    Returns: y (N, C, h, w).
    Identity: equals ops.loops.crop_loops  (tests/ops/test_crop.py).
    Raises: ValueError when the window does not lie inside x.
    Source: the paper's public code. geometry.crop_offset computes the right offsets. Lesson 6.
    """
    (oy, ox), (h, w) = _window(x.shape, offset, size)
    return x[:, :, oy : oy + h, ox : ox + w]


def crop_backward(dy, x_shape, offset):
    """Put the gradient into the window. The rest of the map gets zero.

    dx[n, c, oy + i, ox + j] = dy[n, c, i, j]

    Shapes: dy (N, C, h, w); x_shape crop's input shape. Returns: dx with shape x_shape.
    Identity: vjp_check  (tests/ops/test_crop.py).
    Raises: ValueError when the window does not lie inside x_shape, or dy has other images or channels.
    """
    (oy, ox), (h, w) = _window(x_shape, offset, dy.shape[2:])
    checks.same_shape(dy, (*x_shape[:2], h, w), "dy", "crop's output has")
    dx = get_array_module(dy).zeros(tuple(x_shape), dy.dtype)
    dx[:, :, oy : oy + h, ox : ox + w] = dy
    return dx


def _window(x_shape, offset, size):
    offset, size = checks.pair(offset, "offset", 0), checks.pair(size, "size", 1)
    if len(x_shape) != 4:
        raise ValueError(f"x must have shape (N, C, H, W); got {tuple(x_shape)}")
    if any(o + n > full for o, n, full in zip(offset, size, x_shape[2:])):
        raise ValueError(
            f"a crop of {size[0]}x{size[1]} that starts at {offset} does not lie inside {x_shape[2]}x{x_shape[3]}. "
            "A larger padding of the first convolution would make the map larger"
        )
    return offset, size
