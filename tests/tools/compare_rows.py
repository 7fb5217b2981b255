"""Rows of a comparison, made up for tests of its table and its slides."""

from fcn_from_scratch.lab.compare import Row, Spread
from fcn_from_scratch.lab.compare.measuring import Costs
from fcn_from_scratch.lab.compare.scoring import QUALITIES

NAN = float("nan")


def row(method, mean_ius, others, gain, costs, weights):
    """A Row over three seeds. `others` are the means of the other qualities."""
    names = [name for name in QUALITIES if name != "mean_iu"]
    qualities = {name: Spread(value, 0.0, value, value) for name, value in zip(names, others, strict=True)}
    gains = {name: Spread(0.0, 0.0, 0.0, 0.0) for name in QUALITIES}
    return Row(method, {**qualities, "mean_iu": mean_ius}, {**gains, "mean_iu": gain}, costs, 480, weights)


COARSE = Costs(5.2, 5.1, 5.4, 3.0, 3.0, 3.0, 40_310_000, 1, 32, 153_702)
STITCHED = Costs(93.34, 90.0, 95.5, 5.7, 5.7, 5.8, 766_000_000, 16, 8, 153_702)
ROWS = [
    row("32s", Spread(0.584, 0.011, 0.57, 0.59), (0.887, 0.68, 0.802, 0.365, NAN), Spread(0, 0, 0, 0), COARSE, "32s"),
    row(
        "stitch",
        Spread(0.593, 0.02, 0.57, 0.61),
        (0.856, 0.8649, 0.772, 0.4321, 0.377),
        Spread(0.009, 0.0124, -0.01, 0.02),
        STITCHED,
        "32s",
    ),
]
PHOTO = [row._replace(qualities={}, gains={}) for row in ROWS]
ONE_SEED = [
    row._replace(
        qualities={name: one._replace(sd=NAN) for name, one in row.qualities.items()},
        gains={name: one._replace(sd=NAN) for name, one in row.gains.items()},
    )
    for row in ROWS
]
