"""From a file's arrays into a model's parameters, and a report of what became of each."""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.layers import BilinearUpsample
from fcn_from_scratch.layers.base import fills
from fcn_from_scratch.weights import formats, identity, names
from fcn_from_scratch.weights import preprocessing as inputs


class Report(NamedTuple):
    """What became of a file's arrays, and what the user should know.

    used, missing  the model's parameters that were filled, and those that the file has not
    unused         the file's arrays that the model has no use for
    fixed          those it has as constants, compared with these: bilinear kernels, the at-once scales
    notes          sentences: which preprocessing the weights expect and how that is known, what stayed open
    """

    used: list
    missing: list
    unused: list
    fixed: list = ()
    notes: list = ()

    def __str__(self):
        lines = [f"{len(self.used)} parameters loaded"]
        lines += [f"{w}: {', '.join(getattr(self, w))}" for w in ("missing", "unused", "fixed") if getattr(self, w)]
        return "; ".join(lines)


def read(path):
    """The parameters in a file: name -> array.

    Reads .caffemodel (all three forms of layers), what torch.save writes (zip or stream; a trainer's
    model_state_dict is unwrapped), Chainer's .npz, .safetensors, and this project's .npz: checkpoints, of which the
    parameters are returned, and plain archives of arrays. The content decides, not the extension. Names are the
    file's; those of Caffe and Chainer become NAME.weight and NAME.bias.
    Raises: InputError that names the file and what is wrong with it. No code in a file is ever run.
    """
    return formats.read_file(path).arrays


def load(model, path, *, preprocessing=None, fold=False, new_scores=False):
    """Fill a model's parameters from a file; values are copied unchanged.

    A fully connected weight (F, C*k*k) fills the convolution's (F, C, k, k) by a plain reshape: fc6 and fc7.
    torchvision's names are mapped to the paper's. model.transform becomes the preprocessing that the weights expect,
    as far as the file or its md5 tells; the report's notes say which, and how that is known.
    preprocessing  "caffe" or "torchvision", for files that cannot tell
    fold           take the preprocessing into the first layer, which then expects BGR, 0..255 minus a mean
    new_scores     leave out score layers for another number of classes, instead of refusing the file
    Returns: a Report with `used`, `missing`, `unused`, `fixed` and `notes`.
    Raises: InputError when no name fits, an array of a right name has a wrong shape, or the file is of another
    network of the same names. The model is unchanged then.
    """
    return fill(model, formats.read_file(path), path, preprocessing=preprocessing, fold=fold, new_scores=new_scores)


def fill(model, content, path, *, preprocessing=None, fold=False, new_scores=False):
    """What load does once the file is read: `content` is what formats.read_file gave for `path`."""
    known = identity.identify(content, path)
    expected = inputs.expected(content, known, preprocessing)
    notes = identity.check_at_once(model, content, known, path)
    report, state = match(model, content, path, new_scores)
    if not report.used:
        raise InputError(
            f"{path}: none of its {len(content.arrays)} arrays has the name of a parameter; the model has "
            f"{few(list(model.params), 3)}, the file {few(list(content.arrays), 3) or 'nothing'}"
        )
    try:
        model.load_state_dict(state, strict=False)
    except ValueError as error:  # an upsampling kernel that is not bilinear
        raise InputError(f"{path}: {error}") from None
    return report._replace(notes=[*notes, *_take_over(model, expected, report, fold)])


def match(model, content, path, new_scores=False):
    """(Report, state): what of a file's Content goes where in a model, and the arrays for its load_state_dict.

    Raises: InputError for an array of a right name and a wrong shape.
    """
    params, constants = model.params, _constants(model)
    mapped = names.ours(content.arrays)
    stranger = names.stranger(content.arrays)
    if stranger:
        raise InputError(f"{path}: {stranger}")
    state, fixed, unused = {}, [], []
    for name, array in content.arrays.items():
        ours = mapped[name]
        if ours in state:
            raise InputError(f"{path} holds {ours} twice")
        if ours in params and fills(array.shape, params[ours].shape):
            state[ours] = np.reshape(array, params[ours].shape)
        elif ours in params and not (new_scores and _is_score(ours)):
            raise InputError(f"{path}: {_misfit(name, ours, array, params, content)}")
        elif ours in constants:
            fixed.append(ours)
            state[ours] = array
        else:
            unused.append(name)
    used = [name for name in state if name in params]
    return Report(used, [name for name in params if name not in state], unused, fixed), state


def _constants(model):
    """The names under which files keep what a model has as a constant."""
    children = getattr(model, "children", {})
    kernels = {f"{name}.weight" for name, child in children.items() if isinstance(child, BilinearUpsample)}
    return kernels | identity.scales_of(model).keys()


def _is_score(name):
    """Whether a parameter has one row a class."""
    return name.startswith(("score", "upscore"))


def _misfit(name, ours, array, params, content):
    called = name if name == ours else f"{name} ({ours})"
    words = f"{called} has shape {array.shape}, the model's has {tuple(params[ours].shape)}. "
    if _is_score(ours):
        return words + (
            f"It is for {len(array) if array.ndim else 1} classes: build the model with so many (--num-classes), or "
            "leave its score layers out with new_scores=True (--new-scores)"
        )
    if names.torchvision_network(content.arrays) == "alexnet":
        return words + names.OTHER_ALEXNET
    return words + "Was it trained for another number of classes, or another width?"


def _take_over(model, expected, report, fold):
    """Give the model the preprocessing its first layer's new weights expect; returns what to tell the user."""
    first = next(iter(model.params))
    if first not in report.used:
        return []
    transform = inputs.transform_for(expected, getattr(model, "transform", None))
    if fold:
        weight, transform = inputs.fold(model.params[first], transform)
        model.load_state_dict({first: weight}, strict=False)
    model.transform = transform
    return [] if transform is None else [f"preprocessing {inputs.describe(transform)}: {expected.why}"]
