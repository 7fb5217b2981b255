"""Copy a file's arrays into a model's parameters, and report what became of each."""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.layers import BilinearUpsample
from fcn_from_scratch.layers.base import fills
from fcn_from_scratch.weights import formats, identity, names
from fcn_from_scratch.weights import preprocessing as inputs


class Report(NamedTuple):
    """What became of a file's arrays, and what the user should know.

    used     the model's parameters that were filled
    missing  the model's parameters that the file does not have
    unused   the file's arrays that the model has no use for
    fixed    the file's arrays that are constants in the model and were compared with them: bilinear kernels and the
             at-once scales
    notes    sentences: which preprocessing the weights expect, how that is known, and what could not be found out
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
    """Read the parameters in a file. Returns: a dict, name -> array.

    It reads .caffemodel (all three forms of layers), files of torch.save (zip or stream; a trainer's model_state_dict
    is unwrapped), Chainer's .npz, .safetensors, and this project's .npz, both checkpoints and plain archives of arrays.
    Of a checkpoint only the parameters are returned. The content decides on the format, not the extension. The names
    are the file's; those of Caffe and Chainer become NAME.weight and NAME.bias. No code in a file is ever run.

    Raises: InputError naming the file and what is wrong with it.
    """
    return formats.read_file(path).arrays


def load(model, path, *, preprocessing=None, fold=False, new_scores=False):
    """Fill a model's parameters from a file. The values are copied unchanged.

    A fully connected weight (F, C*k*k), as of fc6 and fc7, fills the convolution's (F, C, k, k) by a plain reshape.
    torchvision's names are mapped to the paper's. model.transform becomes the preprocessing that the weights expect,
    as far as the file or its md5 tells. The report's notes say which one it is, and how that is known.

    preprocessing  "caffe" or "torchvision", for files that do not tell
    fold           take the preprocessing into the first layer, which then expects BGR, 0..255 minus a mean
    new_scores     leave out score layers for another number of classes instead of refusing the file
    Returns: a Report with `used`, `missing`, `unused`, `fixed` and `notes`.
    Raises: InputError when no name fits, when an array has a right name and a wrong shape, or when the file belongs
    to another network with the same names. The model is then unchanged.
    """
    return fill(model, formats.read_file(path), path, preprocessing=preprocessing, fold=fold, new_scores=new_scores)


def fill(model, content, path, *, preprocessing=None, fold=False, new_scores=False):
    """What `load` does after reading the file. `content` is the result of formats.read_file(path)."""
    known = identity.identify(content, path)
    expected = inputs.expected(content, known, preprocessing)
    report, state = match(model, content, path, new_scores)
    notes = identity.check_at_once(model, content, known, path)
    if not report.used:
        raise InputError(
            f"{path}: none of its {len(content.arrays)} arrays has the name of a parameter; the model has "
            f"{few(list(model.params), 3)}, the file {few(list(content.arrays), 3) or 'nothing'}"
        )
    try:
        model.load_state_dict(state, strict=False)
    except ValueError as error:  # an upsampling kernel that is not bilinear
        raise InputError(f"{path}: {error}") from None
    return report._replace(notes=[*content.notes, *report.notes, *notes, *_take_over(model, expected, report, fold)])


def match(model, content, path, new_scores=False):
    """Find the place in a model for each array of a file's Content.

    Returns: (Report, state), where state holds the arrays for model.load_state_dict. Its notes say which words of
    wrappers were dropped from names, and which kernels have groups.
    Raises: InputError for an array with a right name and a wrong shape.
    """
    params, constants = model.params, _constants(model)
    mapped = names.ours(content.arrays, {*params, *constants})
    stranger = names.stranger(content.arrays)
    if stranger:
        raise InputError(f"{path}: {stranger}")
    state, fixed, unused, taken, notes = {}, [], [], {}, []
    for name, array in content.arrays.items():
        ours = mapped[name]
        if ours in state:
            raise InputError(f"{path} holds {ours} twice: as {taken[ours]} and as {name}")
        taken[ours] = name
        if ours in params and fills(array.shape, params[ours].shape):
            state[ours] = np.reshape(array, params[ours].shape)
        elif ours in params and _has_groups(ours, array.shape, params[ours].shape):
            state[ours] = _without_groups(array, params[ours].shape)
            notes.append(f"{ours} has groups, shape {array.shape}: it fills the diagonal of {params[ours].shape}")
        elif ours in params and not (new_scores and _is_score(ours)):
            raise InputError(f"{path}: {_misfit(name, ours, array, params, content)}")
        elif ours in constants:
            fixed.append(ours)
            state[ours] = array
        else:
            unused.append(name)
    used = [name for name in state if name in params]
    words = names.dropped({taken[ours]: ours for ours in state})
    notes += [f"dropped from the names: {', '.join(words)}"] if words else []
    return Report(used, [name for name in params if name not in state], unused, fixed, notes), state


def _constants(model):
    """The names in files of the arrays that are constants in the model."""
    children = getattr(model, "children", {})
    kernels = {f"{name}.weight" for name, child in children.items() if isinstance(child, BilinearUpsample)}
    return kernels | identity.scales_of(model).keys()


def _has_groups(name, shape, target):
    """Whether an upsampling kernel (C, O/groups, k, k) is that of a layer (C, O, k, k), but with groups."""
    if not name.startswith("upscore") or len(shape) != 4 or (shape[0], *shape[2:]) != (target[0], *target[2:]):
        return False
    return 0 < shape[1] < target[1] and target[1] % shape[1] == 0 and target[0] % (target[1] // shape[1]) == 0


def _without_groups(array, target):
    """The same layer's kernel without groups: each group is a block on the diagonal, the rest is zero."""
    full, block = np.zeros(target, array.dtype), array.shape[1]
    rows = target[0] // (target[1] // block)
    for group in range(target[1] // block):
        inputs = slice(group * rows, (group + 1) * rows)
        full[inputs, group * block : (group + 1) * block] = array[inputs]
    return full


def _is_score(name):
    """Whether a parameter has one row for each class."""
    return name.startswith(("score", "upscore"))


def _misfit(name, ours, array, params, content):
    called = name if name == ours else f"{name} ({ours})"
    words = f"{called} has shape {array.shape}, the model's has {tuple(params[ours].shape)}. "
    if _is_score(ours):
        return words + (
            f"It is for {len(array) if array.ndim else 1} classes: build the model with as many (--num-classes), or "
            "leave its score layers out with new_scores=True (--new-scores)"
        )
    if names.torchvision_network(content.arrays) == "alexnet":
        return words + names.OTHER_ALEXNET
    return words + "Was it trained for another number of classes, or another width?"


def _take_over(model, expected, report, fold):
    """Give the model the preprocessing that its first layer's new weights expect. Returns: notes for the user."""
    first = next(iter(model.params))
    if first not in report.used:
        return []
    transform = inputs.transform_for(expected, getattr(model, "transform", None))
    if fold:
        weight, transform = inputs.fold(model.params[first], transform)
        model.load_state_dict({first: weight}, strict=False)
    model.transform = transform
    return [] if transform is None else [f"preprocessing {inputs.describe(transform)}: {expected.why}"]
