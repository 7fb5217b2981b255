"""Training settings as data: those of the paper, of its public code, and ours for the lesson-size networks.

A learning rate must fit the loss's reduction. "sum" adds up the gradients of all pixels. So on a 375x500 image, a step
as large as with "mean" takes a rate that is 187,500 times smaller. Mixing the two is the most common mistake: the rate
of a mean with a sum gives NaN, and the rate of a sum with a mean gives a network that never learns. So a recipe always
names both.

A recipe also names its data: data set, modality, the split that it trains on, and where it is scored. The networks of
the public code for PASCAL VOC train on SBD and are scored on VOC's seg11valid.

...-heavy   settings of the public code: one whole picture in a step, a summed loss, and momentum 0.99 in the place of a
            larger batch. Only its AlexNet uses a mean loss over 20 pictures
...-cvpr    settings of the CVPR 2015 text: 20 pictures in a step. They have different sizes, so they go through the
            network one by one and their gradients are added up. Missing settings are not invented: the text gives no
            rate for FCN-8s, so it has no recipe. The text does not name the reduction; its rates make sense for a mean.
"""

from typing import NamedTuple

from fcn_from_scratch.checks import InputError


class Data(NamedTuple):
    """The data of a recipe. None leaves it open."""

    dataset: str | None  # a name of datasets.NAMES
    split: str | None
    val_split: str | None  # where the network is scored
    val_dataset: str | None = None  # None: the same data set
    modality: str | None = None  # for NYUDv2, one of datasets.nyud.MODALITIES
    pictures: int | None = None  # how many there are to train on, where a source says it
    val_pictures: int | None = None

    def __str__(self):
        if self.dataset is None:
            return "drawn shapes, CamVid"
        kind = f" {self.modality}" if self.modality else ""
        scored = f"{self.val_dataset} " if self.val_dataset else ""
        return f"{self.dataset}{kind} {self.split}, scored on {scored}{self.val_split}"


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
    sampling: str  # "replacement": each picture is drawn from all; "epoch": all pictures in a new order each epoch
    whole: bool  # whole, unchanged pictures: no crop, no resizing, no augmentation
    start: str | None  # the weights it starts from; None: random weights
    data: Data  # the data that the numbers were chosen for
    source: str
    upsampling: str | None = None  # an option of the network; None: its default
    multipliers: dict | None = None  # of training.optim.SGD; None: biases get twice the rate and no decay
    start_steps: tuple = ()  # the steps of the checkpoints that it starts from, where they are not the last ones


_SBD = Data("sbd", "train", "seg11valid", "voc", pictures=8_498, val_pictures=736)
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
# At least 175 epochs of VOC 2011's 1,112 training pictures, 20 in a step. The text prints the decay as "5^-4 or 2^-4"
# and GoogLeNet's rate as "5^-5". It means powers of ten.
_CVPR = _HEAVY._replace(
    lr=1e-4,
    momentum=0.9,
    reduction="mean",
    iter_size=20,
    steps=175 * 1112 // 20,
    data=Data("voc", "train", "val", pictures=1_112),
    source=_TEXT,
)
_SIFT_FLOW = _HEAVY._replace(data=Data("siftflow", "trainval", "test", pictures=2_486, val_pictures=200))
_NYUD = _HEAVY._replace(data=Data("nyud", "trainval", "test", None, "color", 795, 654))
_CONTEXT = _HEAVY._replace(data=Data("pascalcontext", "train", "val", val_pictures=5_105), steps=400_000)


def _nyud(modality, **settings):
    return _NYUD._replace(data=_NYUD.data._replace(modality=modality), **settings)


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
        data=Data(None, None, None),
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
        # Only score_fr follows the usual rule for biases; the biases of the base layers are treated like weights.
        multipliers={"score_fr.bias": (2.0, 0.0), "*": (1.0, 1.0)},
    ),
    "fcn32s-cvpr": _CVPR,
    # Section 4.2: a hundredth of FCN-32s's rate, and learned twofold upsampling. The steps are FCN-32s's.
    "fcn16s-cvpr": _CVPR._replace(model="fcn16s", lr=1e-6, start="fcn32s-cvpr", upsampling="learned"),
    "fcn_alexnet-cvpr": _CVPR._replace(model="fcn_alexnet", lr=1e-3, start="CaffeNet"),
    "fcn_googlenet-cvpr": _CVPR._replace(model="fcn_googlenet", lr=5e-5, start="GoogLeNet"),
    "siftflow-fcn32s-heavy": _SIFT_FLOW._replace(model="fcn32s_two_heads"),
    "siftflow-fcn16s-heavy": _SIFT_FLOW._replace(model="fcn16s_two_heads", lr=1e-12, start="siftflow-fcn32s-heavy"),
    # 1e-12 again, as in the code, although the rates of its other FCN-8s are 1e-14
    "siftflow-fcn8s-heavy": _SIFT_FLOW._replace(model="fcn8s_two_heads", lr=1e-12, start="siftflow-fcn16s-heavy"),
    "nyud-fcn32s-color-heavy": _NYUD,
    "nyud-fcn32s-color-d-heavy": _nyud("color-d"),
    "nyud-fcn32s-hha-heavy": _nyud("hha"),
    "nyud-fcn32s-color-hha-heavy": _nyud(
        "color-hha",
        model="fcn32s_late_fusion",
        lr=1e-12,
        start="nyud-fcn32s-color-heavy and nyud-fcn32s-hha-heavy",
        start_steps=(28_000, 60_000),
    ),
    "pascalcontext-fcn32s-heavy": _CONTEXT,
    "pascalcontext-fcn16s-heavy": _CONTEXT._replace(model="fcn16s", lr=1e-12, start="pascalcontext-fcn32s-heavy"),
    "pascalcontext-fcn8s-heavy": _CONTEXT._replace(model="fcn8s", lr=1e-14, start="pascalcontext-fcn16s-heavy"),
}

# The dilated network has the layers of FCN-32s. The other one reads pool3's large features, which make the gradients
# large, so it needs a rate as small as FCN-8s's.
_LIKE = {"fcn8s_dilated": "fcn32s", "fcn8s_concat": "fcn8s"}

# The usual range of rates for each reduction, for images of some thousand to some hundred thousand pixels.
_USUAL = {"mean": (1e-6, 1.0), "sum": (0.0, 1e-5)}


def find(name):
    """The recipe of that name. Raises: InputError that says how to list the names."""
    if name not in RECIPES:
        raise InputError(f"there is no recipe {name!r}; `fcn train --recipe list` prints all recipes")
    return RECIPES[name]


def usual(model):
    """The name of a network's default recipe: the first of RECIPES for it, or "mini" if there is none.

    A network that the paper does not have gets the recipe of the paper's network in _LIKE.
    """
    model = _LIKE.get(model, model)
    return next((name for name, recipe in RECIPES.items() if recipe.model == model), "mini")


def table():
    """All recipes as text, one line each, and then their sources."""
    lines = [("recipe", "lr", "loss", "momentum", "decay", "pictures", "steps", "data", "starts from")]
    for name, r in RECIPES.items():
        numbers = (f"{r.lr:g}", r.reduction, f"{r.momentum:g}", f"{r.weight_decay:g}")
        pictures = f"{r.batch_size * r.iter_size} a step"
        lines.append((name, *numbers, pictures, f"{r.steps:,}", str(r.data), start_in_words(r)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = []
    for line in lines:
        numbers = (word.rjust(width) for word, width in zip(line[1:7], widths[1:7]))
        words = (word.ljust(width) for word, width in zip(line[7:], widths[7:]))
        rows.append("  ".join([line[0].ljust(widths[0]), *numbers, *words]).rstrip())
    return "\n".join([*rows, "", *(f"{what}: {source}" for what, source in _sources().items())])


def start_in_words(recipe):
    """What a recipe starts from, with the steps of the checkpoints where they are not the last ones."""
    if recipe.start is None:
        return "random weights"
    starts = recipe.start.split(" and ")
    steps = [f" at step {number:,}" for number in recipe.start_steps] or [""] * len(starts)
    return " and ".join(map("".join, zip(starts, steps)))


def _sources():
    """kind of recipe -> the source of its numbers."""
    return {f"...-{name.rpartition('-')[2]}" if "-" in name else name: r.source for name, r in RECIPES.items()}


def same_step(lr, reduction, pixels):
    """The rate for the other reduction that gives the same step, when `pixels` pixels count.

    lr_sum = lr_mean / pixels        (exact without weight decay, which does not scale with the number of pixels)
    """
    return lr / pixels if reduction == "mean" else lr * pixels


def doubt(lr, reduction):
    """A warning if a rate is unusual for this reduction, otherwise None."""
    low, high = _USUAL[reduction]
    if low <= lr <= high:
        return None
    if reduction == "mean" and lr < low:
        return (
            f"the learning rate {lr:g} is a rate for a summed loss; with reduction 'mean' the weights hardly change "
            f"(on a 375x500 image {lr:g} as a sum equals {same_step(lr, 'sum', 375 * 500):g} as a mean)"
        )
    return f"the learning rate {lr:g} is large for reduction {reduction!r} and will likely end in NaN" + (
        f" (as a sum over 375x500 pixels it would be {same_step(lr, 'mean', 375 * 500):g})"
        if reduction == "sum"
        else ""
    )
