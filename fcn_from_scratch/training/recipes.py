"""Training settings as data: the paper's, its public code's, and ours for the lesson-size networks.

A learning rate belongs to the loss's reduction. "sum" adds up every pixel's gradient: on a 375x500 image the same
step as "mean" takes a rate 187,500 times smaller. Mixing the two is the most common way to get NaN (a mean's rate
with a sum) or a network that never learns (a sum's rate with a mean), so a recipe always names both.

...-heavy   the public code's: one whole picture a step, a summed loss, momentum 0.99 in the place of a batch; its
            AlexNet alone takes the mean over 20
...-cvpr    the CVPR 2015 text's: 20 pictures a step. They have their own sizes, so they go through the network one
            by one and their gradients are added up. What the text does not say is not made up: there is no rate for
            FCN-8s, and that the loss is a mean over pixels is the reading under which its rates make sense.
"""

from typing import NamedTuple

from fcn_from_scratch.checks import InputError


class Recipe(NamedTuple):
    """How one network is trained."""

    model: str | None  # a name of models.NAMES; None is any lesson-size network
    lr: float
    momentum: float
    weight_decay: float
    reduction: str  # "sum" or "mean" over the pixels that count
    batch_size: int
    iter_size: int  # batches whose gradients are averaged for one step
    steps: int
    schedule: str  # "fixed" or "poly"
    sampling: str  # "replacement": each picture is drawn from all; "epoch": all in a new order, again and again
    whole: bool  # pictures as they are: no crop, no resizing, no augmentation
    start: str | None  # whose weights it starts from; None is random ones
    data: str  # what the numbers were chosen for
    source: str
    upsampling: str | None = None  # an option of the network; None leaves it as it is
    multipliers: dict | None = None  # training.optim.SGD's; None: biases learn twice as fast and are not decayed


_SBD = "SBD, the further labels of PASCAL VOC 2011 (--dataset sbd)"
_CODE = "the paper's public code: solver.prototxt, solve.py"
_TEXT = "CVPR 2015 text, sections 4.1 to 4.3"

_HEAVY = Recipe(
    model="fcn32s",
    lr=1e-10,
    momentum=0.99,
    weight_decay=5e-4,
    reduction="sum",
    batch_size=1,
    iter_size=1,
    steps=100_000,
    schedule="fixed",
    sampling="replacement",
    whole=True,
    start="VGG16",
    data=_SBD,
    source=_CODE,
)
# At least 175 epochs of VOC 2011's 1,112 training pictures, 20 a step. The text prints the decay as "5^-4 or 2^-4" and
# GoogLeNet's rate as "5^-5": powers of ten are meant.
_CVPR = _HEAVY._replace(
    lr=1e-4,
    momentum=0.9,
    reduction="mean",
    iter_size=20,
    steps=175 * 1112 // 20,
    data="PASCAL VOC 2011 (--dataset voc)",
    source=_TEXT,
)
_SIFT_FLOW = _HEAVY._replace(data="SIFT Flow (--dataset siftflow)")
_NYUD = _HEAVY._replace(data="NYUDv2 (--dataset nyud --modality color)")
_CONTEXT = _HEAVY._replace(data="PASCAL-Context (--dataset pascalcontext)", steps=400_000)

RECIPES = {
    "mini": Recipe(
        model=None,
        lr=3e-2,
        momentum=0.9,
        weight_decay=5e-4,
        reduction="mean",
        batch_size=4,
        iter_size=1,
        steps=1500,
        schedule="poly",
        sampling="epoch",
        whole=False,
        start=None,
        data="drawn shapes, CamVid",
        source="measured in this project",
    ),
    "fcn32s-heavy": _HEAVY,
    "fcn16s-heavy": _HEAVY._replace(model="fcn16s", lr=1e-12, start="fcn32s-heavy"),
    "fcn8s-heavy": _HEAVY._replace(model="fcn8s", lr=1e-14, start="fcn16s-heavy"),
    "fcn8s_atonce-heavy": _HEAVY._replace(model="fcn8s_atonce", steps=300_000),
    "fcn_alexnet-heavy": _HEAVY._replace(
        model="fcn_alexnet",
        lr=1e-4,
        momentum=0.9,
        reduction="mean",
        iter_size=20,
        start="CaffeNet",
        # Only score_fr has the usual rule for biases; the base layers' are treated like weights.
        multipliers={"score_fr.bias": (2.0, 0.0), "*": (1.0, 1.0)},
    ),
    "fcn32s-cvpr": _CVPR,
    # Section 4.2: a hundredth of FCN-32s's rate, and the twofold upsampling is learned; steps as for FCN-32s
    "fcn16s-cvpr": _CVPR._replace(model="fcn16s", lr=1e-6, start="fcn32s-cvpr", upsampling="learned"),
    "fcn_alexnet-cvpr": _CVPR._replace(model="fcn_alexnet", lr=1e-3, start="CaffeNet"),
    "fcn_googlenet-cvpr": _CVPR._replace(model="fcn_googlenet", lr=5e-5, start="GoogLeNet"),
    "siftflow-fcn32s-heavy": _SIFT_FLOW._replace(model="fcn32s_two_heads"),
    "siftflow-fcn16s-heavy": _SIFT_FLOW._replace(model="fcn16s_two_heads", lr=1e-12, start="siftflow-fcn32s-heavy"),
    # 1e-12 again: what the code has, though its other networks go down to 1e-14 here
    "siftflow-fcn8s-heavy": _SIFT_FLOW._replace(model="fcn8s_two_heads", lr=1e-12, start="siftflow-fcn16s-heavy"),
    "nyud-fcn32s-color-heavy": _NYUD,
    "nyud-fcn32s-color-d-heavy": _NYUD._replace(data="NYUDv2 (--dataset nyud --modality color-d)"),
    "nyud-fcn32s-hha-heavy": _NYUD._replace(data="NYUDv2 (--dataset nyud --modality hha)"),
    "nyud-fcn32s-color-hha-heavy": _NYUD._replace(
        model="fcn32s_late_fusion",
        lr=1e-12,
        start="nyud-fcn32s-color-heavy and nyud-fcn32s-hha-heavy",
        data="NYUDv2 (--dataset nyud --modality color-hha)",
    ),
    "pascalcontext-fcn32s-heavy": _CONTEXT,
    "pascalcontext-fcn16s-heavy": _CONTEXT._replace(model="fcn16s", lr=1e-12, start="pascalcontext-fcn32s-heavy"),
    "pascalcontext-fcn8s-heavy": _CONTEXT._replace(model="fcn8s", lr=1e-14, start="pascalcontext-fcn16s-heavy"),
}

# What a rate of each reduction usually lies between, for images of some thousand to some hundred thousand pixels.
_USUAL = {"mean": (1e-6, 1.0), "sum": (0.0, 1e-5)}


def find(name):
    """The recipe of that name. Raises: InputError that says where the names are."""
    if name not in RECIPES:
        raise InputError(f"there is no recipe {name!r}; `fcn train --recipe list` prints those there are")
    return RECIPES[name]


def usual(model):
    """The name of the recipe a network is trained by unless another is asked for: its first one above, else mini."""
    return next((name for name, recipe in RECIPES.items() if recipe.model == model), "mini")


def table():
    """All recipes as text, a line each, then their sources."""
    lines = [("recipe", "lr", "loss", "momentum", "decay", "pictures", "steps", "starts from")]
    for name, r in RECIPES.items():
        pictures = f"{r.batch_size * r.iter_size} a step"
        lines.append(
            (
                name,
                f"{r.lr:g}",
                r.reduction,
                f"{r.momentum:g}",
                f"{r.weight_decay:g}",
                pictures,
                f"{r.steps:,}",
                r.start,
            )
        )
    widths = [max(len(line[column] or "") for line in lines) for column in range(len(lines[0]) - 1)]
    rows = [
        "  ".join([line[0].ljust(widths[0]), *(word.rjust(width) for word, width in zip(line[1:-1], widths[1:]))])
        + f"  {line[-1] or 'random weights'}"
        for line in lines
    ]
    return "\n".join([*rows, "", *(f"{what}: {source}" for what, source in _sources().items())])


def _sources():
    """Where the numbers are from, for each kind of recipe."""
    return {f"...-{name.rpartition('-')[2]}" if "-" in name else name: r.source for name, r in RECIPES.items()}


def same_step(lr, reduction, pixels):
    """The rate with which the other reduction takes the same step over `pixels` counted pixels.

    lr_sum = lr_mean / pixels        (exact without weight decay, whose share does not scale)
    """
    return lr / pixels if reduction == "mean" else lr * pixels


def doubt(lr, reduction):
    """A sentence of warning when a rate does not look like one for this reduction, else None."""
    low, high = _USUAL[reduction]
    if low <= lr <= high:
        return None
    if reduction == "mean" and lr < low:
        return (
            f"the learning rate {lr:g} is one for a summed loss; with reduction 'mean' the network will hardly move "
            f"(on a 375x500 image {lr:g} as a sum equals {same_step(lr, 'sum', 375 * 500):g} as a mean)"
        )
    return f"the learning rate {lr:g} is large for reduction {reduction!r} and will likely end in NaN" + (
        f" (as a sum over 375x500 pixels it would be {same_step(lr, 'mean', 375 * 500):g})"
        if reduction == "sum"
        else ""
    )
