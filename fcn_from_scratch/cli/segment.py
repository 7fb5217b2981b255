"""`fcn segment`: label every pixel of photos of any size."""

from pathlib import Path

import numpy as np
from PIL import Image

from fcn_from_scratch import datasets, viz
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common
from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.progress import bar
from fcn_from_scratch.training.evaluation import segment

HELP = "Label every pixel of photos of any size: writes the colour map, the overlay and the index PNG of each."
EXAMPLE = "  fcn segment photo.jpg holiday/*.png --weights runs/camvid/checkpoint.npz --out segmented"


def add_arguments(parser):
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="pictures in any format Pillow reads")
    parser.add_argument("--weights", required=True, metavar="FILE", help="a checkpoint, or an .npz of parameters")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="needed for plain .npz files; a checkpoint knows its own",
    )
    parser.add_argument("--num-classes", type=int, metavar="K", help="for plain files: else read off score_fr")
    parser.add_argument("--out", default="segmented", metavar="DIR", help="default segmented")
    common.add_run_arguments(parser)


def run(args):
    common.check_device(args.device)
    stems = [Path(image).stem for image in args.images]
    for stem in stems:
        if stems.count(stem) > 1:
            raise InputError(f"two pictures are called {stem}: their results would have the same names")
    model, extra = common.load_model(args.weights, args.model, args.num_classes, args.seed)
    model.to(args.device)
    folder = common.output_folder(args.out)
    palette = common.palette_of(extra)
    classes = extra.get("classes") or [str(number) for number in range(model.options["num_classes"])]
    lines = []
    for path, stem in zip(bar(args.images, unit="image"), stems):
        image = datasets.read_image(path)
        labels = segment(model, image, args.device)
        viz.save_index_png(folder / f"{stem}_labels.png", labels, palette)
        save_png(folder / f"{stem}_colour.png", viz.colourise(labels, palette))
        save_png(folder / f"{stem}_overlay.png", viz.overlay(image, labels, palette, background=None))
        lines.append(f"{path}: {image.shape[1]}x{image.shape[0]}, {_shares(labels, classes)}")
    print("\n".join(lines))
    print(f"wrote *_labels.png (class ids), *_colour.png and *_overlay.png to {folder}/")
    return 0


def save_png(path, image):
    """Write uint8 (H, W, 3) as PNG, whole or not at all."""
    write_atomically(path, lambda file: Image.fromarray(image).save(file, format="PNG"))


def _shares(labels, classes):
    """The classes found, largest first: "Road 41 %, Sky 20 %"."""
    counts = np.bincount(labels.ravel(), minlength=len(classes))
    order = [number for number in np.argsort(-counts) if counts[number]]
    return ", ".join(f"{classes[number]} {100 * counts[number] / labels.size:.0f} %" for number in order[:5])
