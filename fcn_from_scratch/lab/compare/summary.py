"""The rows of the table: every quality as a mean over the seeds with its spread, and as a difference to 32s."""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch.lab.compare.scoring import QUALITIES

REFERENCE = "32s"  # the method that all others are compared with


class Spread(NamedTuple):
    """What one number did over the seeds.

    sd         standard deviation of the sample, with n - 1; NaN for one seed
    low, high  the lowest and the highest
    """

    mean: float
    sd: float
    low: float
    high: float


class Row(NamedTuple):
    """One method's line of the table.

    method     a key of METHODS
    qualities  name of a quality -> Spread; empty for a picture without labels
    gains      name of a quality -> Spread of the difference to 32s; empty if 32s is not compared. Both networks of a
               difference have the same seed, the same trunk and the same pictures
    costs      measuring.Costs
    steps      of training after the trunk
    weights    the stage they come from; rows with the same weights differ only in how they predict
    """

    method: str
    qualities: dict
    gains: dict
    costs: NamedTuple
    steps: int
    weights: str

    def flat(self):
        """All numbers in one dict: mean_iu, mean_iu_sd, mean_iu_low, ..., mean_iu_gain, mean_iu_gain_sd, ..."""
        values = {"method": self.method}
        for ending, spreads in (("", self.qualities), ("_gain", self.gains)):
            for name in QUALITIES:
                parts = spreads.get(name, (None,) * 4)
                values |= zip((f"{name}{ending}{part}" for part in ("", "_sd", "_low", "_high")), parts)
        return {**values, **self.costs._asdict(), "steps": self.steps, "weights": self.weights}


def spread(numbers):
    """The Spread of one or several numbers. If one of them is NaN, so are all four."""
    sd = np.std(numbers, ddof=1) if len(numbers) > 1 else float("nan")
    return Spread(float(np.mean(numbers)), float(sd), float(np.min(numbers)), float(np.max(numbers)))


def summarize(methods, by_seed, costs, settings):
    """A list of Rows, in the order of `costs`.

    methods   methods.METHODS
    by_seed   a list with one dict for each seed: name of a method -> {name of a quality: number}. It is empty for a
              picture without labels
    costs     name of a method -> measuring.Costs
    settings  training_plan.Settings
    """
    return [
        Row(
            name,
            _spreads([scores[name] for scores in by_seed]),
            _spreads([_difference(scores, name) for scores in by_seed if REFERENCE in scores]),
            found,
            methods[name].steps(settings),
            methods[name].stage,
        )
        for name, found in costs.items()
    ]


def _difference(scores, name):
    return {quality: scores[name][quality] - scores[REFERENCE][quality] for quality in QUALITIES}


def _spreads(values):
    """From a list of dicts with equal keys: key -> Spread."""
    return {name: spread([one[name] for one in values]) for name in QUALITIES} if values else {}
