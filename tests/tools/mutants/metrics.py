"""Mistakes in the metrics."""

from planting import Mutant

MUTANTS = [
    Mutant(
        "truth and prediction exchanged",
        "metrics.ConfusionMatrix.update",
        "k * labels.astype(np.intp).ravel() + predictions.astype(np.intp).ravel()",
        "k * predictions.astype(np.intp).ravel() + labels.astype(np.intp).ravel()",
        "test_metrics.py",
    ),
    Mutant(
        "ignored pixels counted as background",
        "metrics.ConfusionMatrix.update",
        "labels, predictions = labels[valid], predictions[valid]",
        "labels, predictions = np.where(valid, labels, 0), np.where(valid, predictions, 0)",
        "test_metrics.py",
    ),
    Mutant(
        "union counts hits twice",
        "metrics.ConfusionMatrix.per_class",
        "iu=_ratio(hits, true + called - hits)",
        "iu=_ratio(hits, true + called)",
        "test_metrics.py",
    ),
    Mutant(
        "false alarms of absent classes forgiven",
        "metrics.ConfusionMatrix.scores",
        'averaged = present if absent == "skip" else ~np.isnan(iu)',
        "averaged = present",
        "test_metrics.py",
    ),
    Mutant(
        "boundaries of ignored pixels",
        "metrics.boundary_band",
        "band & (labels != ignore_index)",
        "band",
        "test_metrics.py",
    ),
]
