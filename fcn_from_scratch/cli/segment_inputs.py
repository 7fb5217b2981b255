"""What `fcn segment` feeds to a network: a picture, and the depth map or the HHA picture beside it."""

import glob
from pathlib import Path

import numpy as np

from fcn_from_scratch import datasets, weights
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import own_arguments
from fcn_from_scratch.datasets.images import extensions, read_depth
from fcn_from_scratch.weights import network_input

PUBLISHED = tuple(name for name in datasets.NAMES if datasets.published_preprocess(name) is not None)
BESIDE = {network_input.DEPTH: "depth", network_input.BOTH: "hha"}  # what lies beside the picture
NYUD_CLASSES, SIFT_FLOW_CLASSES = 40, (33, 3)


def add_source_arguments(parser):
    """Add --dataset and --modality: whose pictures plain weights were trained on."""
    parser.add_argument(
        "--dataset",
        choices=PUBLISHED,
        help="the data set that plain weights were trained on: pictures are prepared as its published code did, unless "
        "the weights record something else",
    )
    parser.add_argument("--modality", choices=datasets.nyud.MODALITIES, help="of --dataset nyud (default color)")


def add_arguments(parser):
    add_source_arguments(parser)
    for kind, what in (("depth", "depth map"), ("hha", "HHA picture")):
        parser.add_argument(
            f"--{kind}",
            metavar="FILE",
            help=f"the {what} of a picture, for a network that reads one; {{name}} stands for the picture's name "
            f"(default: NAME_{kind}.* beside the picture, {kind}/NAME.* or ../{kind}/NAME.*)",
        )


class Inputs:
    """Reads what a network is fed, and says what that is.

    kind   "depth", "hha" or None: what is read beside each picture
    lines  what the user should know about the input
    """

    def __init__(self, model, args, extra):
        """`extra` is what a checkpoint keeps beside the weights; {} for plain weights."""
        trained_on, self.settings = extra.get("dataset"), extra.get("arguments", {})
        source = source_of(model, args)
        modality = network_input.modality_of(model, source)
        fed = feed(model, source)
        self.lines = [fed if trained_on is None else f"{fed}; trained on {trained_on}"]
        if source is None and getattr(model, "told", None) is None and _classes(model) == NYUD_CLASSES:
            self.lines.append(
                "note: 40 classes are those of NYUDv2: if the network was trained there, pass --dataset nyud, and "
                "--modality hha if it reads HHA"
            )
        self.kind = BESIDE.get(modality)
        self.reads = f"a {model.name} reads {weights.channels_of(model)} channels"
        self.patterns = {"depth": args.depth, "hha": args.hha}
        for kind, pattern in self.patterns.items():
            if pattern is not None and kind != self.kind:
                raise InputError(f"--{kind}: a {model.name} reads {network_input.WORDS[modality]} only")
        pattern = self.patterns.get(self.kind)
        if pattern is not None and "{name}" not in pattern and len(args.images) > 1:
            raise InputError(f"--{self.kind} {pattern} is one file for {len(args.images)} pictures: write {{name}}")

    def pictures(self, paths):
        """The paths that are pictures: a pattern such as *.png also matches the maps beside them."""
        if self.kind is None or self.patterns[self.kind] is not None:
            return paths
        maps = {found for path in paths if (found := self._search(path)) is not None}
        return [path for path in paths if Path(path) not in maps]

    def beside(self, paths):
        """The maps that lie beside these pictures, as far as they are there."""
        if self.kind is None:
            return []
        if (pattern := self.patterns[self.kind]) is not None:
            return [pattern.replace("{name}", Path(path).stem) for path in paths]
        return [found for path in paths if (found := self._search(path)) is not None]

    def read(self, path, shrink=lambda part: part):
        """The picture with all its channels, (H, W, C). `shrink` may make each part smaller."""
        picture = own_arguments.read_photo(path, self.settings)
        if self.kind is None:
            return shrink(picture)
        other = self._path(path)
        more = read_depth(other)[:, :, None] if self.kind == "depth" else datasets.read_image(other)
        if more.shape[:2] != picture.shape[:2]:
            sizes = " and ".join(f"{height}x{width}" for height, width, _ in (picture.shape, more.shape))
            raise InputError(f"{path} and {other} differ in size: {sizes} pixels")
        return np.concatenate([shrink(picture), shrink(more)], axis=2)

    def _path(self, path):
        pattern = self.patterns[self.kind]
        if pattern is not None:
            return pattern.replace("{name}", Path(path).stem)
        found = self._search(path)
        if found is None:
            places = " or ".join(f"{place}.*" for place in _places(Path(path), self.kind))
            what = "depth map" if self.kind == "depth" else "HHA picture"
            raise InputError(
                f"{self.reads}; a photo has 3, and no {what} lies beside {path} as {places}: pass "
                f"--{self.kind} 'FOLDER/{{name}}.png'"
            )
        return found

    def _search(self, path):
        endings = extensions()
        for place in _places(Path(path), self.kind):
            for found in sorted(place.parent.glob(f"{glob.escape(place.name)}.*")):
                if found.suffix.lower() in endings and found.stem == place.name:
                    return found
        return None


def _places(path, kind):
    """Where a map may lie, without its ending."""
    folder, stem = path.parent, path.stem
    above = folder.parent if folder.name else folder / ".."
    return folder / f"{stem}_{kind}", folder / kind / stem, above / kind / stem


def source_of(model, args):
    """The weights.Source that --dataset and --modality name; None where only the weights can tell."""
    if args.modality is not None and args.dataset != "nyud":
        raise InputError("--modality belongs to --dataset nyud")
    if args.dataset is not None:
        return weights.source(args.dataset, args.modality or ("color" if args.dataset == "nyud" else None))
    if getattr(model, "told", None) is None and _classes(model) == SIFT_FLOW_CLASSES:
        return weights.source("siftflow")
    return None


def _classes(model):
    number = model.options["num_classes"]
    return tuple(number) if isinstance(number, (tuple, list)) else number


def feed(model, source):
    """weights.feed for pictures of a Source. Raises: InputError when they have other channels than the model reads."""
    modality = network_input.modality_of(model, source)
    reads, has = weights.channels_of(model), network_input.CHANNELS[modality]
    if reads != has:
        raise InputError(
            f"a {model.name} with these weights reads {reads} channels; {network_input.WORDS[modality]} have {has}"
        )
    return weights.feed(model, source)
