"""`fcn segment`: predict the class of every pixel of photos of any size."""

import argparse
import sys
import time
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from fcn_from_scratch import viz
from fcn_from_scratch.checks import InputError, printable
from fcn_from_scratch.cli import common, memory_check, own_arguments, segment_figure, segment_inputs, segment_tiles
from fcn_from_scratch.cli.apart import Apart
from fcn_from_scratch.cli.patterns import files_matching
from fcn_from_scratch.datasets.lists import nfc
from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.geometry.table import memory as bytes_in_words
from fcn_from_scratch.lab import memory
from fcn_from_scratch.models import ZeroFrame, with_zero_frame
from fcn_from_scratch.progress import bar
from fcn_from_scratch.training.evaluation import segment

HELP = (
    "Predict the class of every pixel of photos of any size; write a colour map, an overlay, an index PNG and a figure "
    "with a legend of each."
)
EXAMPLE = """  fcn segment photo.jpg holiday/*.png --weights runs/camvid/checkpoint.npz --out segmented
  fcn segment photo.jpg --model fcn8s --weights fcn8s-heavy-pascal.caffemodel
  fcn segment photo.jpg --model fcn8s --random-weights     to see time and memory
  fcn segment map.png --model fcn8s --weights fcn8s-heavy-pascal.caffemodel --tile     in the memory of a tile"""


KINDS = ("labels", "colour", "overlay", "figure")  # of results


def add_arguments(parser):
    images = "pictures (PNG, JPEG, TIFF, BMP, GIF, WebP, ...), folders of them, or patterns such as 'photos/*.png'"
    parser.add_argument("images", nargs="+", metavar="IMAGE", help=images)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--weights", metavar="FILE", help="a checkpoint, .caffemodel, .pth, .npz or .safetensors")
    source.add_argument(
        "--random-weights",
        action="store_true",
        help="run an untrained --model: the labels mean nothing, but time and memory are those of a trained one",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="needed for plain weights; a checkpoint records its own",
    )
    parser.add_argument(
        "--num-classes",
        type=int,
        metavar="K",
        help="number of classes, for plain weights (default: the size of score_fr)",
    )
    common.add_preprocessing_argument(parser)
    segment_inputs.add_arguments(parser)
    parser.add_argument(
        "--zero-frame",
        action=argparse.BooleanOptionalAction,
        help="compute of each map only what the picture reaches, and take the rest of the paper's wide padding from a "
        "small image of zeros. The scores agree with those of the whole computation to 5e-6 of the largest one: the "
        "values are the same, but the sums are rounded in another order. By default this is on for FCN-32s, 16s, 8s, "
        "FCN-AlexNet and FCN-GoogLeNet on a CPU; --no-zero-frame computes everything",
    )
    parser.add_argument(
        "--max-size",
        type=common.positive,
        metavar="N",
        help="shrink pictures whose longer side has more than N pixels; their results have the smaller size",
    )
    segment_tiles.add_argument(parser)
    parser.add_argument(
        "--strict", action="store_true", help="stop at a picture that cannot be read (default: do the rest)"
    )
    parser.add_argument(
        "--out",
        type=common.folder,
        default="segmented",
        metavar="DIR",
        help="folder for the results (default segmented)",
    )
    common.add_run_arguments(parser, "seed of --random-weights (default 0)")


def run(args):
    common.check_device(args.device)
    folders = {str(Path(word)) for word in args.images if Path(word).is_dir()}
    args.images = files_matching(args.images)
    if args.random_weights:
        model, extra = untrained(args), {}
    else:
        model, extra = common.load_model(args.weights, args.model, args.num_classes, args.preprocessing)
    inputs = segment_inputs.Inputs(model, args, extra)
    args.images = own_arguments.without_labels(args.images, folders, extra.get("arguments", {}))
    args.images = inputs.pictures(args.images)
    stems = _stems(args.images)
    apart = Apart([*args.images, *inputs.beside(args.images), args.weights], "choose another folder with --out")
    apart(_results(Path(args.out) / stem)[kind] for stem in stems for kind in KINDS)
    common.for_pictures(model, len(args.images), args.device)
    predictor = segment_tiles.predictor(model, args) or _predictor(model, args.zero_frame)
    folder = common.output_folder(args.out)
    palette = common.palette_of(extra)
    classes = extra.get("classes") or [str(number) for number in range(common.classes_of(model))]
    lines, left_out = [], []
    for path, stem in zip(bar(args.images, unit="image"), stems):
        try:
            image = inputs.read(path, partial(shrunk, most=args.max_size))
            memory_check.require_memory(model, image.shape[:2], path, args.device, shrinks=True, tile=args.tile)
        except InputError as error:
            if args.strict or len(args.images) == 1:
                raise
            left_out.append(str(error))
            continue
        start = time.perf_counter()
        labels = segment(predictor, image, args.device)
        seconds = time.perf_counter() - start
        write_results(folder / stem, image[:, :, :3].astype(np.uint8), labels, classes, palette)
        found = segment_figure.in_words(segment_figure.occurring(labels, classes))
        tiles = segment_tiles.in_words(predictor, image.shape[:2])
        lines.append(f"{printable(str(path))}: {image.shape[1]}x{image.shape[0]}, {found}; {seconds:.1f} s{tiles}")
    if lines:
        _tell(lines, inputs.lines, folder)
    if left_out:
        number = f"{len(left_out)} of {len(args.images)} pictures could not be segmented"
        print(f"fcn: {number}: {printable('; '.join(left_out))}", file=sys.stderr)
    return 1 if left_out else 0


def _predictor(model, zero_frame):
    """What predicts the pictures. `zero_frame` is None where the command's user did not ask for it, nor against it."""
    if zero_frame is None:
        return with_zero_frame(model)
    return ZeroFrame(model) if zero_frame else model


def _stems(paths):
    """The names of the results. Raises: InputError for two pictures of one name."""
    stems = [nfc(Path(path).stem) for path in paths]
    for stem, count in Counter(stems).items():
        if count > 1:
            raise InputError(f"two pictures are called {stem}: their results would have the same names")
    return stems


def _tell(lines, inputs, folder):
    """Print what was found in each picture, what the network read, and what was written."""
    print("\n".join(lines))
    if (peak := memory.peak()) is not None:
        print(f"peak memory {bytes_in_words(peak)}")
    print("\n".join(inputs))
    where = printable(str(folder))
    print(f"wrote *_labels.png (class ids), *_colour.png, *_overlay.png and *_figure.png (with a legend) to {where}/")


def shrunk(image, most):
    """An image (H, W, C) with its longer side made `most` pixels long, if it is longer; None keeps every size."""
    size = image.shape[:2] if most is None else memory_check.shrunk_size(image.shape[:2], most)
    if size == image.shape[:2]:
        return image
    flat = image[:, :, 0] if image.shape[2] == 1 else image  # a depth map
    return np.asarray(Image.fromarray(flat).resize(size[::-1], Image.Resampling.BILINEAR)).reshape(*size, -1)


def write_results(stem, image, labels, classes, palette):
    """Write the four pictures of one photo: STEM_labels.png, STEM_colour.png, STEM_overlay.png, STEM_figure.png.

    A class whose colour is black, as the background of PASCAL VOC, is not tinted: black would only darken the photo.
    """
    path = _results(stem)
    viz.save_index_png(path["labels"], labels, palette)
    save_png(path["colour"], viz.colourise(labels, palette))
    black = next((number for number in range(len(classes)) if not palette[number].any()), None)
    overlay = viz.overlay(image, labels, palette, background=black)
    save_png(path["overlay"], overlay)
    figure = segment_figure.draw(image, overlay, segment_figure.occurring(labels, classes), palette)
    write_atomically(path["figure"], lambda file: viz.write_png(figure, file))


def _results(stem):
    """The paths of the results of one photo, by their kinds."""
    return {kind: f"{stem}_{kind}.png" for kind in KINDS}


def untrained(args):
    """A network of --model with random weights.

    Its score layers get random weights too. Usually they start at zero, and every pixel would get class 0.
    """
    if args.model is None:
        raise InputError("--random-weights needs a network: pass --model")
    warnings.warn("the weights are random: the labels mean nothing", stacklevel=2)
    model = common.build_model(args.model, args.num_classes or 21, args.seed)
    if "classifier" in model.name:
        raise InputError(f"a {model.name} predicts one class for a picture; this command needs one for each pixel")
    rng = np.random.default_rng(args.seed)
    for name, weight in model.params.items():
        if name.startswith("score") and name.endswith("weight"):
            weight[...] = rng.normal(0, 0.01, weight.shape)
    return model.eval()


def save_png(path, image):
    """Write uint8 (H, W, 3) as PNG: the whole file or nothing."""
    write_atomically(path, lambda file: Image.fromarray(image).save(file, format="PNG"))
