"""Can a network train with these settings?"""

from fcn_from_scratch.lab.doctor.registry import check, fine, note, warning
from fcn_from_scratch.training import recipes


@check(
    "Does the learning rate fit the loss's reduction?",
    "take both from one recipe: `fcn train --recipe list`",
    needs=("lr", "reduction"),
)
def learning_rate(case):
    doubt = recipes.doubt(case.lr, case.reduction)
    if doubt:
        yield warning(doubt)
    else:
        yield fine(f"{case.lr:g} is a usual rate for reduction {case.reduction!r}")


@check(
    "Does a batch mix pictures of several sizes? Smaller ones are padded.",
    "pass --batch-size 1, with --iter-size for more pictures in a step, or pass --crop",
    needs=("batch_size", "sizes"),
)
def mixed_sizes(case):
    sizes = set(case.sizes)
    if case.batch_size == 1 or len(sizes) == 1:
        return
    mean = sum(height * width for height, width in case.sizes) / len(case.sizes)
    largest = max(height for height, _ in sizes) * max(width for _, width in sizes)
    text = f"pictures have {len(sizes)} sizes: padded to the largest, {1 - mean / largest:.0%} of a batch is padding"
    # The network does not learn from padding (its labels are 255), but padding costs time.
    yield (warning if mean < largest / 2 else note)(text)
