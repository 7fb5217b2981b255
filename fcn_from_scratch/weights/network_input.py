"""What a network reads: the one rule by which every command, and training.fit, prepare pictures for a network.

1. What its weights record: a checkpoint, an exported file, or names that imply a preprocessing.
2. Else what the published code of the data set fed: dataset.preprocess.
3. Else the network's own: model.transform, as models.build set it.

A record speaks only of the channels that its network read. Weights of a colour network say nothing about depth, so a
network that gets a fourth channel takes the depth from the data set. They say nothing about HHA either. A scale such as
0..1 or a division by 60 belongs to the weights, though: it stays, and mean and order are the data set's.
"""

from dataclasses import replace
from typing import NamedTuple

from fcn_from_scratch import datasets
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.nyud import MODALITIES, published_input
from fcn_from_scratch.datasets.transforms import HHA_MEAN, Preprocess

COLOUR, DEPTH, HHA, BOTH = MODALITIES
WORDS = {
    COLOUR: "colour pictures",
    DEPTH: "colour pictures with a depth map",
    HHA: "HHA pictures",
    BOTH: "colour pictures with an HHA picture",
}
FIRST = ("conv1_1_bgrd.weight", "conv1.weight", "conv1/7x7_s2.weight")  # layers that may read depth: of three trunks
CHANNELS = {COLOUR: 3, DEPTH: 4, HHA: 3, BOTH: 6}


class Told(NamedTuple):
    """What weights record about their network's input. load and fit keep it as model.told."""

    transform: Preprocess
    why: str  # how it is known
    modality: str  # one of datasets.nyud.MODALITIES: the channels that the record speaks of


class Source(NamedTuple):
    """Stands for a dataset where there is none: what its pictures are, and how its published code prepares them."""

    preprocess: Preprocess | None
    modality: str | None = None


def feed(model, dataset=None):
    """Give a model the transform of the pictures that it will read, by the rule above.

    dataset  a dataset or a Source; None: a single picture. Of networks with more than three channels NYUDv2's are the
             only published ones, so without a dataset they read what these read
    Returns: a sentence for the user: what the network reads, and how that is known.
    """
    told = getattr(model, "told", None)
    modality = modality_of(model, dataset)
    published = getattr(dataset, "preprocess", None)
    if dataset is None and modality in (DEPTH, BOTH):
        published = published_input(modality)
    model.transform, why = _chosen(told, modality, published, model.transform)
    return f"input: {describe(model.transform, modality)}: {WORDS[modality]}, {why}"


def recorded(transform, model, dataset=None):
    """The Told of a run that goes on: it reads on what it has read."""
    return Told(transform, "as the run recorded", modality_of(model, dataset))


def trained(model, dataset):
    """Let a model remember that it was trained on the pictures of a dataset, as model.transform prepares them."""
    model.told = Told(model.transform, "as the network was trained", modality_of(model, dataset))


def modality_of(model, dataset=None):
    """The kind of channels that a model reads from a dataset, one of MODALITIES."""
    if getattr(dataset, "modality", None) is not None:
        return dataset.modality
    told = getattr(model, "told", None)
    by_channels = {4: DEPTH, 6: BOTH}.get(channels_of(model), COLOUR)
    is_open = getattr(dataset, "preprocess", None) is None  # own pictures: what they are, only the weights can tell
    return told.modality if is_open and told is not None and by_channels == COLOUR else by_channels


def channels_of(model):
    """The number of channels of the pictures that a model reads."""
    streams = getattr(getattr(model, "trunk", None), "channels", None)  # of a late fusion
    if streams:
        return sum(streams)
    weights = [weight for weight in model.params.values() if weight.ndim == 4]
    return weights[0].shape[1] if weights else 3


def _chosen(told, modality, published, own):
    """(transform, how it is known) by the rule."""
    if told is not None and told.modality == modality:
        return told.transform, told.why
    if told is not None and told.modality == COLOUR and modality in (DEPTH, BOTH):
        more = f"{told.why}; the other channels as the data set's published code fed them"
        return _joined(told.transform, published or published_input(modality)), more
    if published is not None:
        return _in_units_of(own, published, modality), "as the data set's published code fed it"
    return own, "the network's own, since nothing else is recorded"


def _joined(colours, published):
    """The colours as recorded, depth or HHA as published."""
    factor = colours.scale / published.scale
    return replace(
        colours,
        depth_mean=published.depth_mean,
        depth_std=published.depth_std * factor,
        hha_mean=published.hha_mean,
    )


def _in_units_of(own, published, modality):
    """The published mean and order, in the scale and deviation of a network's weights."""
    factor = own.scale / published.scale
    std = own.std
    if std is not None and own.order != published.order and modality != HHA:
        std = std[::-1]  # each colour keeps its own
    return replace(
        published,
        mean=tuple(mean * factor for mean in published.mean),
        scale=own.scale,
        std=std,
        depth_std=published.depth_std * factor,
    )


def of_streams(told):
    """What two files record together, for a late fusion. `told` is a pair: the Told of the colours' file and of HHA's.

    A file that records nothing leaves its part to the data set.
    Returns: a Told, or None when neither records anything.
    Raises: InputError when the two cannot hold at once.
    """
    colours, hha = told
    if colours is None and hha is None:
        return None
    if colours is not None and colours.modality == HHA:
        raise InputError("the first of the two files is of an HHA network: pass the file of the colours first")
    published = published_input(BOTH)
    base = _in_units_of(hha.transform, published, HHA) if colours is None else colours.transform
    theirs = None if hha is None else hha.transform
    if theirs is not None and (theirs.scale, theirs.std) != (base.scale, base.std):
        raise InputError(
            f"the two files do not fit together: the colours are fed as {describe(base, COLOUR)}, the second one as "
            f"{describe(theirs, hha.modality)}; they need one scale"
        )
    is_recorded = hha is not None and hha.modality == HHA  # a record of colours says nothing about HHA
    hha_mean = tuple(m / theirs.scale for m in theirs.mean) if is_recorded else published.hha_mean
    return Told(replace(base, hha_mean=hha_mean), (colours or hha).why, BOTH)


def recorded_modality(transform, arrays, settings):
    """The kind of channels that a file's record speaks of.

    arrays    the file's, name -> array
    settings  the settings of the run that wrote it, a dict
    """
    asked = settings.get("modality") if isinstance(settings, dict) else None
    if asked in MODALITIES:
        return asked
    if any(name.endswith(FIRST) and array.ndim == 4 and array.shape[1] == 4 for name, array in arrays.items()):
        return DEPTH
    if any("conv1_1hha" in name for name in arrays):
        return BOTH
    is_hha = transform.order == "RGB" and transform.mean == tuple(m * transform.scale for m in HHA_MEAN)
    return HHA if is_hha else COLOUR


def describe(transform, modality=COLOUR):
    """The settings in a few words, for these channels."""
    mean = _numbers(transform.mean)
    std = "" if transform.std is None else f" / ({_numbers(transform.std)})"
    order = "HHA in the files' order" if modality == HHA and transform.order == "RGB" else transform.order
    words = f"{order}, 0..{255 * transform.scale:g}, minus ({mean}){std}"
    if modality == DEPTH:
        words += f", and ln(depth) minus {transform.depth_mean:g}" + _over(transform.depth_std / transform.scale)
    if modality == BOTH:
        words += f", and HHA minus ({_numbers(transform.hha_mean)})"
    return words


def _numbers(values):
    return ", ".join(f"{value:.6g}" for value in values)


def _over(number):
    return "" if abs(number - 1) < 1e-6 else f" / {number:g}"


def source(name, modality=None):
    """The Source of a data set by its name, for pictures that lie anywhere."""
    return Source(datasets.published_preprocess(name, modality), modality)
