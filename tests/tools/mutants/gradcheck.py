"""Mistakes in the gradient check itself."""

from planting import Mutant

ATTRIBUTES = "gradcheck/test_attributes.py"

MUTANTS = [
    Mutant(
        "checked with an upstream gradient of ones",
        "gradcheck.vjp.vjp_errors",
        "dy = xp.asarray(rng.normal(size=y.shape))",
        "dy = xp.ones(y.shape)",
        "gradcheck/test_vjp.py",
    ),
    Mutant(
        "parameters in attributes left out",
        "gradcheck.attributes.find_gradients",
        "return Found(parameters, beside,",
        "return Found([], beside,",
        ATTRIBUTES,
    ),
    Mutant(
        "arrays without a gradient left out of the report",
        "gradcheck.attributes.unchecked",
        "if _matters(place, function, inputs, y)",
        "if False",
        ATTRIBUTES,
    ),
    Mutant(
        "arrays that forward changes are parameters",
        "gradcheck.attributes.kept_by_forward",
        "steady = [one for one in kept if _unchanged(one)]",
        "steady = kept",
        ATTRIBUTES,
    ),
    Mutant(
        "a gradient may stand in no dict",
        "gradcheck.attributes._candidates",
        "if k == name or fits(k, name)",
        "if False",
        ATTRIBUTES,
    ),
    Mutant(
        "names letter by letter alone",
        "gradcheck.attributes._pairs",
        "(_exactly, _loosely, _carried)",
        "(_exactly, _carried)",
        ATTRIBUTES,
    ),
    Mutant(
        "names loosely first",
        "gradcheck.attributes._pairs",
        "(_exactly, _loosely, _carried)",
        "(_loosely, _exactly, _carried)",
        ATTRIBUTES,
    ),
    Mutant(
        "gradients pile up",
        "gradcheck.parameters.Parameter.reset",
        "self.gradient.set(self.first)",
        "pass",
        ATTRIBUTES,
    ),
    Mutant(
        "float32 parameters are not widened",
        "gradcheck.attributes.to_float64",
        "_replace(place, wide)",
        "pass",
        ATTRIBUTES,
    ),
    Mutant(
        "a backward that trains passes",
        "gradcheck.attributes.find_gradients",
        "[one.name for one in moved if",
        "[one.name for one in moved if False and",
        ATTRIBUTES,
    ),
    Mutant(
        "every gradient is called right",
        "cli.gradcheck._what_was_checked",
        "elif len(report.errors) == 1:",
        "elif False:",
        "cli/test_gradcheck.py",
    ),
]
