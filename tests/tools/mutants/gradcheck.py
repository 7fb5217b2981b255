"""Mistakes in the gradient check itself."""

from planting import Mutant

MUTANTS = [
    Mutant(
        "checked with an upstream gradient of ones",
        "gradcheck.vjp.vjp_errors",
        "dy = xp.asarray(rng.normal(size=y.shape))",
        "dy = xp.ones(y.shape)",
        "gradcheck/test_vjp.py",
    ),
]
