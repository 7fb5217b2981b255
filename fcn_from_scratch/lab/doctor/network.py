"""Are the weights complete and of the right network, and is the network alive?"""

import math
from contextlib import contextmanager

import numpy as np

from fcn_from_scratch.checks import few
from fcn_from_scratch.lab.doctor.preprocessing import BETTER, first_head, reading
from fcn_from_scratch.lab.doctor.registry import check, fine, note, serious, warning
from fcn_from_scratch.models.vgg import AT_ONCE_SCALES


@check(
    "Does the network have as many classes as the labels?",
    "pass --num-classes or another dataset; score layers for other classes must be trained again (--new-scores)",
    needs=("model", "dataset"),
)
def class_count(case):
    if case.dataset.num_classes != case.classes:
        yield serious(f"{case.model.name} has {case.classes} classes, the labels have {case.dataset.num_classes}")


@check(
    "Did the file fill every layer? Most often fc6 and fc7 are missing.",
    "load a file that has them; weights.load reshapes a classifier's fully connected fc6 (F, C*k*k)",
    needs=("model", "report"),
)
def missing_layers(case):
    names = list(dict.fromkeys(name.rpartition(".")[0] for name in case.report.missing))
    scores = [name for name in names if name.startswith(("score", "upscore"))]
    fully = [name for name in names if name.startswith(("fc6", "fc7"))]
    trunk = [name for name in names if name not in scores and name not in fully]
    if trunk:
        yield serious(f"{case.weights} does not fill {few(trunk)}: these layers are untrained")
    if fully:
        yield serious(
            f"{case.weights} does not fill {' and '.join(fully)}: training runs, but the results will be far too low"
        )
    if scores:
        yield warning(
            f"{case.weights} does not fill {few(scores)}: they start at zero",
            "this is right at the start of a training; to segment, trained score layers are needed",
        )
    if not names:
        yield fine(f"all {len(case.report.used)} parameters come from the file")


@check(
    "Is a convolution all zeros? It passes no signal, and the layers below it cannot learn.",
    "copy the base network's weights (models.transplant, --weights) before training: only score layers start at zero",
    needs=("model",),
)
def zero_layers(case):
    missing = case.report.missing if case.report else ()  # the check missing_layers reports these
    zero = [
        name.removesuffix(".weight")
        for name, array in case.model.params.items()
        if name.endswith("weight") and not name.startswith("score") and name not in missing and not array.any()
    ]
    if zero:
        yield serious(
            f"all weights of {few(zero)} are zero: the loss stays at ln {case.classes} = {math.log(case.classes):.4f}"
        )


@check(
    "Do the scores depend on the class and on the picture? The loss of a dead network stays at ln K.",
    "the features have died: use a smaller learning rate, the right preprocessing, or the base network's weights",
    needs=("model",),
)
def outputs_alive(case):
    outputs = [first_head(case.model(case.model.transform(image)[None])) for image, _ in case.samples]
    untrained = case.weights is None
    stuck = f"the loss is ln {case.classes} = {math.log(case.classes):.4f} for every picture"
    if not all(np.isfinite(scores).all() for scores in outputs):
        yield serious(
            "the scores are not finite", "the weights contain NaN or overflow: train with a smaller learning rate"
        )
    elif all(np.ptp(scores, axis=1).max() == 0 for scores in outputs):
        text = f"every class has the same score at every pixel: {stuck}"
        if untrained:
            yield note(f"{text}. This is normal before training, while the score layers are zero")
        else:
            yield serious(text)
    elif not _sees(case.model, case.samples[0][0], outputs[0]):
        yield serious("a picture and its negative have the same scores: the scores do not depend on the picture")
    elif len({int(label) for scores in outputs for label in np.unique(scores.argmax(axis=1))}) == 1:
        yield warning(
            f"every pixel is of class {int(outputs[0].argmax(axis=1).flat[0])}",
            "if this stays so after some thousand steps, check preprocessing, staging and the learning rate",
        )


def _sees(model, image, scores):
    """Whether the scores depend on the picture. (Differences between pixels do not prove it: near the edges, where the
    upsampling kernels end, constant scores differ too.)"""
    negative = (image.max() - image).astype(image.dtype)
    other = first_head(model(model.transform(negative)[None]))
    return np.abs(other - scores).max() > 1e-6 * np.abs(scores).max()


@check(
    "Are these weights of FCN-8s or of FCN-8s at-once? Their arrays have the same names; only known files differ.",
    "pass --model fcn8s or --model fcn8s_atonce, as the weights were trained",
    needs=("model", "weights", "pictures"),
)
def at_once(case):
    if "fcn8s" not in case.model.name or "two_heads" in case.model.name:
        return
    if case.told is not None:
        yield fine(f"the file names its network: {case.told}")
        return
    other = case.model.name.removesuffix("_atonce") if "atonce" in case.model.name else f"{case.model.name}_atonce"
    own = reading(case.model, case.model.transform, case.pictures)
    with other_scales(case.model):
        theirs = reading(case.model, case.model.transform, case.pictures)
    if own.loss is not None and theirs.loss < BETTER * own.loss:
        yield serious(f"the loss is {own.loss:.3g} as {case.model.name}, and {theirs.loss:.3g} as {other}")
    elif own.loss is not None:
        yield fine(f"the loss is {own.loss:.3g} as {case.model.name}, {theirs.loss:.3g} as {other}")
    elif not own.sane and theirs.sane:
        yield warning(
            f"from pixel to pixel the scores vary by {own.spread:.3g} nats as {case.model.name}, and by "
            f"{theirs.spread:.3g} as {other}; those of trained networks vary by 1 to 10"
        )
    else:
        yield note(
            f"neither the file nor the scores tell {case.model.name} from {other}; pass labelled pictures to find out"
        )


@check(
    "Do the skips start from a trained coarser network? FCN-16s or 8s straight from a classifier predict only "
    "background.",
    "train fcn32s first, then 16s, then 8s, each with --weights of the one before; or use fcn8s_atonce",
    needs=("model", "report"),
)
def staging(case):
    missing = {name.rpartition(".")[0] for name in case.report.missing}
    skips = [name for name, child in case.model.children.items() if getattr(child, "scale", None) == 1.0]
    new = [name for name in skips if name in missing]
    if new and "score_fr" in missing:
        yield warning(f"{case.weights} has no score_fr: {case.model.name} would learn {few(new)} together with it")
    elif len(new) > 1:
        yield note(f"{few(new)} would be learned together; the paper adds one skip at a time")


@contextmanager
def other_scales(model):
    """Run an FCN-8s as FCN-8s at-once, or the reverse. The two differ only in the factors of pool4 and pool3."""
    skips = [model.children[f"score_{pool}"] for pool in ("pool4", "pool3")]
    before = [skip.scale for skip in skips]
    plain = all(scale == 1 for scale in before)
    try:
        for skip, scale in zip(skips, AT_ONCE_SCALES):
            skip.scale = scale if plain else 1.0
        yield
    finally:
        for skip, scale in zip(skips, before):
            skip.scale = scale
