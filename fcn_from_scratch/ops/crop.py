"""Cutting a window out of a map: how FCN aligns maps of different origin."""

from fcn_from_scratch import checks
from fcn_from_scratch.backend import get_array_module


def crop(x, offset, size):
    """The window of the given size that starts at the offset: y = x[:, :, oy : oy + H, ox : ox + W], a view.

    Shapes: x (N, C, ...); offset, size integers or pairs (vertical, horizontal).
    Raises: ValueError when the window does not lie inside x.
    Source: the paper's public code; which offsets are right is geometry.crop_offset's business. Lesson 6.
    """
    (oy, ox), (h, w) = _window(x.shape, offset, size)
    return x[:, :, oy : oy + h, ox : ox + w]


def crop_backward(dy, x_shape, offset):
    """The gradient goes back into its window; what was cut off gets zero.

    Shapes: dy (N, C, h, w); x_shape crop's input shape. Returns: dx with shape x_shape.
    """
    (oy, ox), (h, w) = _window(x_shape, offset, dy.shape[2:])
    checks.same_shape(dy, (*x_shape[:2], h, w), "dy", "crop's output has")
    dx = get_array_module(dy).zeros(tuple(x_shape), dy.dtype)
    dx[:, :, oy : oy + h, ox : ox + w] = dy
    return dx


def _window(x_shape, offset, size):
    offset, size = checks.pair(offset, "offset", 0), checks.pair(size, "size", 1)
    if len(x_shape) != 4:
        raise ValueError(f"x has shape (N, C, H, W); got {tuple(x_shape)}")
    if any(o + n > full for o, n, full in zip(offset, size, x_shape[2:])):
        raise ValueError(
            f"a crop of {size[0]}x{size[1]} that starts at {offset} does not lie inside {x_shape[2]}x{x_shape[3]}. "
            "A larger padding of the first convolution makes the map larger"
        )
    return offset, size
