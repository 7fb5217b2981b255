"""`fcn segment --tile`: very large pictures, predicted tile by tile."""

import argparse

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common
from fcn_from_scratch.dense import TiledPredictor
from fcn_from_scratch.dense.tiles import SIZE


def add_argument(parser):
    parser.add_argument(
        "--tile",
        type=_size,
        nargs="?",
        const=SIZE,
        metavar="SIZE",
        help=f"predict pictures larger than SIZE pixels (default {SIZE}) in tiles that overlap: in the memory of one "
        "tile, with the same result, but with more work",
    )


def _size(text):
    """argparse's type of --tile."""
    try:
        return common.positive(text)
    except ValueError:
        message = f"expected a size in pixels, such as {SIZE}; got {text!r} (is --tile before the pictures?)"
        raise argparse.ArgumentTypeError(message) from None


def predictor(model, args):
    """The TiledPredictor that --tile asks for, or None.

    Raises: InputError for a network that cannot be predicted in tiles, a size that is too small, and --zero-frame.
    """
    if args.tile is None:
        return None
    if args.zero_frame:
        raise InputError("--tile and --zero-frame exclude each other: most tiles of a large picture have no zero frame")
    return TiledPredictor(model, args.tile, progress=True)


def in_words(predictor, size):
    """How many tiles a picture of `size` (H, W) has, and what they cost: for the line about the picture."""
    count = len(predictor.plan(size)) if isinstance(predictor, TiledPredictor) else 1
    return f", {count} tiles with {predictor.work(size) - 1:.0%} more work than the whole" if count > 1 else ""
