"""Will these settings train?"""

from fcn_from_scratch.lab.doctor.registry import check, fine, note, warning
from fcn_from_scratch.training import recipes


@check(
    "Does the learning rate belong to the loss's reduction?",
    "take both from one recipe: `fcn train --recipe list`",
    needs=("lr", "reduction"),
)
def learning_rate(case):
    doubt = recipes.doubt(case.lr, case.reduction)
    if doubt:
        yield warning(doubt)
    else:
        yield fine(f"{case.lr:g} with reduction {case.reduction!r} is usual")


@check(
    "Do pictures of several sizes share a batch? Smaller ones are padded.",
    "--batch-size 1 with --iter-size for more pictures a step, or --crop",
    needs=("batch_size", "sizes"),
)
def mixed_sizes(case):
    sizes = set(case.sizes)
    if case.batch_size == 1 or len(sizes) == 1:
        return
    mean = sum(height * width for height, width in case.sizes) / len(case.sizes)
    largest = max(height for height, _ in sizes) * max(width for _, width in sizes)
    text = f"pictures have {len(sizes)} sizes: padded to the largest, {1 - mean / largest:.0%} of a batch is padding"
    # It is not learned from (labels 255, pixels of the mean colour), but it costs time.
    yield (warning if mean < largest / 2 else note)(text)
