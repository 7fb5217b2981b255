"""Mistakes in the doctor and in the published numbers."""

from planting import Mutant

MUTANTS = [
    Mutant(
        "published rows of another input",
        "lab.published.rows_for",
        "(row.model, row.modality) == (model, modality)",
        "row.model == model",
        "lab/test_published.py",
    ),
    Mutant(
        "red and blue swapped, their means not",
        "lab.doctor.preprocessing.reversed_order",
        "mean=transform.mean[::-1]",
        "mean=transform.mean",
        "lab/doctor",
    ),
    Mutant(
        "a score that all classes share counts as movement",
        "lab.doctor.preprocessing.reading",
        "scores - scores.mean(axis=1, keepdims=True)",
        "scores",
        "lab/doctor",
    ),
    Mutant(
        "the doctor leaves scales behind",
        "lab.doctor.network.other_scales",
        """
            for skip, scale in zip(skips, before):
                skip.scale = scale
        """,
        """
            for skip, scale in zip(skips, before):
                pass
        """,
        "lab/doctor",
    ),
    Mutant(
        "labels cut elsewhere than their picture",
        "lab.doctor.case._cut",
        "n - LARGEST, 0) // 2",
        "n - LARGEST, 0) // 2 * (array.ndim - 2)",
        "lab/doctor",
    ),
]
