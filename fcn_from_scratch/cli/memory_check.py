"""Refuse a picture whose maps would not fit into memory, before the network computes them."""

from fcn_from_scratch import geometry
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.dense import TiledPredictor
from fcn_from_scratch.dense.tiles import SIZE
from fcn_from_scratch.engine.loss_shares import layers
from fcn_from_scratch.geometry.table import memory as in_words
from fcn_from_scratch.lab import memory
from fcn_from_scratch.lab.doctor.size import needed
from fcn_from_scratch.layers import Conv2d
from fcn_from_scratch.weights import channels_of

SMALLER = "make the pictures smaller, take a smaller network, or use a machine with more memory"


def require_memory(model, size, name, device="cpu", shrinks=False, tile=None):
    """Compare what a forward on a picture of `size` (H, W) needs with what is free.

    shrinks   whether the command has --max-size and --tile. The message then says which of them help
    tile      the largest side of a tile, if the picture is predicted in tiles
    Raises: InputError that names the picture, what it needs and what to do.
    """
    room = memory.room() if device == "cpu" else None
    if room is None or not geometry.fits(model, size):  # the forward says why a size does not fit
        return
    room = max(room - to_be_kept(model), 0)
    need = needed(model, size)[0] if tile is None else _needed_in_tiles(model, size, tile)
    if need <= room:
        return
    remedy = SMALLER
    if shrinks and (side := _largest_side(model, size, room)):
        remedy = f"--max-size {side} shrinks it first"
    if shrinks and tile is None and _tiles_fit(model, size, room):
        remedy = f"--tile predicts it in tiles, with the same result; {remedy}"
    raise InputError(
        f"{name} is {size[0]}x{size[1]} pixels, for which {model.name} needs about {in_words(need)} of memory; "
        f"{in_words(room)} are free: {remedy}"
    )


def to_be_kept(model):
    """Bytes that a prepared network will keep beside its weights, and does not hold yet."""
    made = [layer.transformed for layer in layers(model) if isinstance(layer, Conv2d)]
    return sum(kernel.nbytes_to_come for kernel in made if kernel is not None)


def _needed_in_tiles(model, size, tile):
    """Bytes to predict a picture in tiles: one tile's maps, and of the whole picture its pixels and its classes."""
    pixels = size[0] * size[1] * (4 * channels_of(model) + 8)
    return pixels + needed(model, tuple(min(n, tile) for n in size))[0]


def _tiles_fit(model, size, room):
    """Whether --tile predicts a picture of this size in `room` bytes."""
    try:
        TiledPredictor(model)
    except InputError:
        return False
    return _needed_in_tiles(model, size, SIZE) <= room


def require_batch_memory(model, batch_size, size, device="cpu"):
    """Compare what the pictures of a batch need, before the network computes anything, with what is free.

    Raises: InputError that names the batch and what it needs.
    """
    room = memory.room() if device == "cpu" else None
    need = batch_size * size[0] * size[1] * (8 * channels_of(model) + 1)  # as read, and as the network reads them
    if room is not None and need > room:
        raise InputError(
            f"a batch of {batch_size} pictures of {size[0]}x{size[1]} pixels needs about {in_words(need)} of memory; "
            f"{in_words(room)} are free: pass a smaller --batch-size"
        )


def shrunk_size(size, most):
    """The size (H, W) of a picture whose longer side is made `most` pixels long, if it is longer."""
    scale = min(1, most / max(size))
    return tuple(max(1, round(n * scale)) for n in size)


def _largest_side(model, size, room):
    """The longest side, in tens of pixels, with which a picture of this form fits into `room` bytes; None if none."""
    low, high = 0, max(size) // 10
    while low < high:
        middle = (low + high + 1) // 2
        smaller = shrunk_size(size, 10 * middle)
        if geometry.fits(model, smaller) and needed(model, smaller)[0] <= room:
            low = middle
        else:
            high = middle - 1
    return 10 * low or None
