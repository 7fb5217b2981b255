"""Mistakes in the loss and in the check of its labels."""

from planting import Mutant

LOSS = "ops/test_loss.py"

MUTANTS = [
    Mutant(
        "a negative label let through",
        "checks.label_range",
        "labels.min() >= 0 and labels.max() < num_classes",
        "labels.max() < num_classes",
        LOSS,
    ),
    Mutant(
        "ignored pixels counted in the mean",
        "engine.loss.softmax_cross_entropy",
        "labels.size if value is None else value.sum(dtype=np.float64)",
        "labels.size",
        LOSS,
    ),
    Mutant(
        "ignored pixels get a gradient",
        "engine.loss._values",
        "value = counted.astype(scores.dtype)",
        "value = (counted | True).astype(scores.dtype)",
        LOSS,
    ),
    Mutant(
        "sum divided by the images",
        "engine.loss.softmax_cross_entropy",
        "divisor = 1.0",
        "divisor = float(n)",
        LOSS,
    ),
    Mutant(
        "class weights not in the gradient",
        "engine.loss.softmax_cross_entropy",
        "factor = v / by",
        "factor = (v > 0) / by",
        LOSS,
    ),
    Mutant(
        "large scores overflow",
        "engine.loss.softmax_cross_entropy",
        "own.max(axis=1)[:, None], out=p)",
        "0, out=p)",
        LOSS,
    ),
    Mutant(
        "what does not count passes its nan on",
        "engine.loss.softmax_cross_entropy",
        "if not bool(xp.isfinite(total).all()):",
        "if False:",
        LOSS,
    ),
    Mutant(
        "class 0 taken for the ignore label",
        "engine.loss._values",
        "n, counted = len(labels), labels != ignore_index",
        "n, counted = len(labels), (labels != ignore_index) & (labels > 0)",
        LOSS,
    ),
    Mutant(
        "an id too large let through",
        "checks.label_range",
        "(labels >= num_classes)",
        "(labels > num_classes)",
        LOSS,
    ),
]
