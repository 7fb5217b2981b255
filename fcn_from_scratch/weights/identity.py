"""Which network a file's weights belong to. Names alone do not tell: FCN-8s and FCN-8s at-once have the same names."""

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.weights import formats, names
from fcn_from_scratch.weights.known_files import published

# The class names that pytorch-fcn's trainer writes into its files, and the models that they stand for.
TRAINERS = {"FCN32s": "fcn32s", "FCN16s": "fcn16s", "FCN8s": "fcn8s", "FCN8sAtOnce": "fcn8s_atonce"}
SCORES = ("score_fr.bias", "score_frcolor.bias", "score_fr_sem.bias", "score_fr_geo.bias")  # one number for each class
OPEN_FORMATS = (formats.PYTORCH, formats.CHAINER)  # formats of published files whose names leave it open


def identify(content, path):
    """The file's entry in the table of published files, or None. Only OPEN_FORMATS are looked up."""
    return published(path) if content.format in OPEN_FORMATS else None


def scales_of(model):
    """The factors by which a model scales its pools before scoring them. Returns: a dict, name in a file -> factor."""
    children = getattr(model, "children", {})
    return {
        f"{name.replace('score', 'scale', 1)}.weight": child.scale
        for name, child in children.items()
        if name.startswith("score_pool") and hasattr(child, "scale")
    }


def is_at_once(content, known=None, arrays=None):
    """Whether a file's score_pool4 and score_pool3 were trained on scaled pools. None when nothing tells.

    arrays  the file's arrays by this project's names, where they are known already
    """
    arrays = _by_our_names(content) if arrays is None else arrays
    if not any(name.startswith("score_pool") for name in arrays):
        return None
    scales = [array for name, array in arrays.items() if name.startswith("scale_pool")]
    if scales or content.format == formats.CAFFE:
        return any((array != 1).any() for array in scales)
    if known is not None and known.model is not None:
        return known.model.endswith("atonce")
    model = _noted_model(content)
    return None if model is None else model.endswith("atonce")


def check_at_once(model, content, known, path):
    """Refuse weights of FCN-8s for the at-once network, and the reverse.

    Such weights would load without complaint and give nonsense. Where the file does not tell, only the user can know.
    Returns: a list of notes for the user, mostly empty.
    """
    scales = scales_of(model)
    arrays = _by_our_names(content, {*model.params, *scales})
    if not any(name.replace("scale", "score") in arrays for name in scales):
        return []
    theirs, scaled = is_at_once(content, known, arrays), any(scale != 1 for scale in scales.values())
    if theirs is None:
        return [f"its names do not tell FCN-8s from FCN-8s at-once; it is taken for {model.name}, as asked for"]
    if theirs != scaled:
        words = ("an at-once network, which scales pool4 and pool3", "a network that does not scale pool4 and pool3")
        raise InputError(
            f"{path} is of {words[not theirs]} before scoring them; {model.name} {'does' if scaled else 'does not'}. "
            f"Build the model {'with' if theirs else 'without'} _atonce in its name"
        )
    for name, scale in scales.items():
        array = arrays.get(name)
        if array is not None and not np.allclose(array, scale, rtol=1e-5, atol=0):
            raise InputError(f"{path}: {name} is {array.flat[0]:g} where {model.name} has {scale:g}")
    return []


def told_model(content, path):
    """The name of the model that a file's weights belong to, or None when neither its md5 nor its writer says so."""
    known = identify(content, path)
    if known is not None:
        return known.model
    return _noted_model(content)


def recorded_options(content, name):
    """The options of the network `name`, which a file of `fcn export` records. None if the file is of another network.

    name   None stands for the network that the file names
    """
    recorded = content.meta.get("options")
    if not isinstance(recorded, dict) or name not in (None, _noted_model(content)):
        return None
    return {key: tuple(value) if isinstance(value, list) else value for key, value in recorded.items()}


def told_options(content):
    """The options that a file's shapes tell about: num_classes (a pair for two heads) and in_channels."""
    arrays = _by_our_names(content)
    counts = [array.shape[0] for name in SCORES if (array := arrays.get(name)) is not None and array.ndim]
    options = {"num_classes": counts[0] if len(counts) == 1 else tuple(counts)} if counts else {}
    return options | ({"in_channels": 4} if "conv1_1_bgrd.weight" in arrays else {})


def _by_our_names(content, wanted=()):
    """A file's arrays by this project's names. `wanted` is that of names.ours."""
    return {ours: content.arrays[name] for name, ours in names.ours(content.arrays, wanted).items()}


def _noted_model(content):
    """The model that the file names beside its arrays: a checkpoint, a converted file or one of pytorch-fcn does."""
    model, arch = content.meta.get("model"), content.meta.get("arch")
    if isinstance(model, str):
        return model
    return TRAINERS.get(arch) if isinstance(arch, str) else None
