"""Copy a file's arrays into a model's parameters, and report what became of each."""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.layers import BilinearUpsample
from fcn_from_scratch.layers.base import fills
from fcn_from_scratch.weights import formats, identity, names, network_input, starting
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
    torchvision's names are mapped to the paper's. A first layer of three channels fills the three of one with four, and
    the fourth, the depth, starts as their mean. model.transform becomes the preprocessing that the weights expect, as
    far as the file or its md5 tells, and model.told says so (network_input.py). The report's notes say which one it is,
    and how that is known.

    path           a file, or two: those of the colour and of the HHA network that start a late fusion
    preprocessing  "caffe" or "torchvision", for files that do not tell
    fold           take the preprocessing into the first layer, which then expects BGR, 0..255 minus a mean
    new_scores     True leaves out score layers for another number of classes instead of refusing the file. A number K
                   also keeps their rows of the first K classes
    Returns: a Report with `used`, `missing`, `unused`, `fixed` and `notes`.
    Raises: InputError when no name fits, when an array has a right name and a wrong shape, or when the file belongs
    to another network with the same names. The model is then unchanged.
    """
    if isinstance(path, (list, tuple)):
        return load_files(model, path, preprocessing=preprocessing, fold=fold, new_scores=new_scores)
    return fill(model, formats.read_file(path), path, preprocessing=preprocessing, fold=fold, new_scores=new_scores)


def load_files(model, paths, *, preprocessing=None, fold=False, new_scores=False):
    """Fill a model from one file, or a late fusion from two: that of the colours, then that of HHA."""
    if len(paths) == 1:
        return load(model, paths[0], preprocessing=preprocessing, fold=fold, new_scores=new_scores)
    ours = [starting.in_stream(model.params, stream) for stream in starting.STREAMS]
    if len(paths) != 2 or not all(ours):
        raise InputError(
            f"{len(paths)} files of weights were given: only a late fusion starts from two, that of the colours and "
            f"then that of HHA, and {model.name or 'this network'} "
            + ("is one" if all(ours) else "is none; pass one file")
        )
    if fold:
        raise InputError("the preprocessing of two files cannot be folded: a late fusion has two first layers")
    state, told, reports = {}, [], []
    for path, stream in zip(paths, starting.STREAMS):
        content = formats.read_file(path)
        report, found = match(model, content, path, new_scores, stream)
        _require_used(report, content, path, [name for name in model.params if name in found] or ours[0])
        expected = inputs.expected(content, identity.identify(content, path), preprocessing)
        told.append(inputs.told(expected, content))
        state |= found
        reports.append(report._replace(notes=[f"{stream}: {note}" for note in [*content.notes, *report.notes]]))
    together = network_input.of_streams(told)
    _load(model, state, " and ".join(map(str, paths)))
    model.told = together
    if together is not None:
        model.transform = together.transform
    used = [name for report in reports for name in report.used]
    lists = {word: [name for r in reports for name in getattr(r, word)] for word in ("unused", "fixed", "notes")}
    return Report(used, [name for name in model.params if name not in state], **lists)


def fill(model, content, path, *, preprocessing=None, fold=False, new_scores=False):
    """What `load` does after reading the file. `content` is the result of formats.read_file(path)."""
    known = identity.identify(content, path)
    expected = inputs.expected(content, known, preprocessing)
    report, state = match(model, content, path, new_scores)
    notes = identity.check_at_once(model, content, known, path)
    _require_used(report, content, path, model.params)
    _load(model, state, path)
    taken = _take_over(model, expected, report, fold, content)
    return report._replace(notes=[*content.notes, *report.notes, *notes, *taken])


def _require_used(report, content, path, wanted):
    if not report.used:
        raise InputError(
            f"{path}: none of its {len(content.arrays)} arrays has the name of a parameter; the model has "
            f"{few(list(wanted), 3)}, the file {few(list(content.arrays), 3) or 'nothing'}"
        )


def _load(model, state, path):
    try:
        model.load_state_dict(state, strict=False)
    except ValueError as error:  # an upsampling kernel that is not bilinear
        raise InputError(f"{path}: {error}") from None


def match(model, content, path, new_scores=False, stream=None):
    """Find the place in a model for each array of a file's Content.

    new_scores  that of `load`
    stream      one of starting.STREAMS: the file holds the network of this stream of a late fusion
    Returns: (Report, state), where state holds the arrays for model.load_state_dict. Its notes say which words of
    wrappers were dropped from names, which kernels have groups, and what became of a depth channel.
    Raises: InputError for an array with a right name and a wrong shape.
    """
    params, constants = model.params, _constants(model)
    mapped, arrays, notes = _mapped(content, path, params, constants, stream)
    to_cut = _scores_to_cut(mapped, arrays, params, new_scores)
    state, fixed, unused, taken = {}, [], [], {}
    for name, array in arrays.items():
        ours = mapped[name]
        if ours in state:
            raise InputError(f"{path} holds {ours} twice: as {taken[ours]} and as {name}")
        taken[ours] = name
        if ours in to_cut:
            state[ours] = starting.kept_rows(path, ours, array, params[ours], new_scores)
            notes.append(f"{ours} keeps the rows of {new_scores} of the file's {len(array)} classes")
        elif ours in params and fills(array.shape, params[ours].shape):
            state[ours] = np.reshape(array, params[ours].shape)
        elif ours in params and _has_groups(ours, array.shape, params[ours].shape):
            state[ours] = _without_groups(array, params[ours].shape)
            notes.append(f"{ours} has groups, shape {array.shape}: it fills the diagonal of {params[ours].shape}")
        elif ours in params and not (new_scores is True and _is_score(ours)):
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


def _mapped(content, path, params, constants, stream):
    """(a file's name -> our name, its arrays, notes), with the changes of starting.py made."""
    streamed = {} if stream is None else starting.in_stream(params, stream)
    mapped = names.ours(content.arrays, {*params, *constants, *streamed})
    stranger = names.stranger(content.arrays)
    if stranger:
        raise InputError(f"{path}: {stranger}")
    mapped = {name: streamed.get(ours, ours) for name, ours in mapped.items()}
    arrays, notes = dict(content.arrays), []
    for name, (ours, array) in starting.depth_sources(mapped, arrays, params).items():
        mapped[name], arrays[name] = ours, array
        if ours.endswith(".weight"):
            notes.append(f"the fourth channel of {ours}, the depth, starts as the mean of the file's three")
    return mapped, arrays, notes


def _scores_to_cut(mapped, arrays, params, new_scores):
    """The score layers of which only the rows of the first classes are taken, when new_scores is a number.

    Those for another number of classes; where there are none, all: the number says how many classes stay the same.
    """
    if new_scores is True or not new_scores:
        return set()
    scores = {ours: arrays[name] for name, ours in mapped.items() if ours in params and _is_score(ours)}
    scores = {ours: array for ours, array in scores.items() if starting.rows_fit(ours, array, params[ours])}
    others = {ours for ours, array in scores.items() if len(array) != len(params[ours])}
    return others or set(scores)


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


def _take_over(model, expected, report, fold, content):
    """Give the model the preprocessing that its first layer's new weights expect. Returns: notes for the user."""
    first = next(iter(model.params))
    if first not in report.used:
        return []
    transform = inputs.transform_for(expected, getattr(model, "transform", None))
    told = inputs.told(expected, content)
    if fold:
        weight, transform = inputs.fold(model.params[first], transform)
        model.load_state_dict({first: weight}, strict=False)
        told = told and told._replace(transform=transform)
    model.transform, model.told = transform, told
    return [] if transform is None else [f"preprocessing {inputs.describe(transform)}: {expected.why}"]
