"""A network trained to convergence, by im2col and with Winograd's algorithm: a table of docs/performance.md.

python tests/tools/winograd_training.py              three seeds, to convergence
python tests/tools/winograd_training.py --nudged     also what any other change of rounding does
python tests/tools/winograd_training.py --seeds 0 --steps 50

The network is FCN-8s in VGG16's shape with 64 channels in every stage. So "auto" takes Winograd's F(4, 3) for the
convolutions of the first three stages. All runs see the same scenes. The seed decides the weights at the start and the
order of the scenes. So the runs of one seed differ only in how convolutions are computed.

The nudged runs use im2col again. They start from weights of which each is the next larger float32.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from fcn_from_scratch import datasets, models  # noqa: E402
from fcn_from_scratch.engine import conv, loss_shares  # noqa: E402
from fcn_from_scratch.layers import Conv2d  # noqa: E402
from fcn_from_scratch.models import vgg  # noqa: E402
from fcn_from_scratch.models.trunk import VGGConfig  # noqa: E402
from fcn_from_scratch.ops import shapes  # noqa: E402
from fcn_from_scratch.training import SGD, Trainer, evaluate, polynomial, warm_up  # noqa: E402

CONFIG = VGGConfig((64,) * 5, (2, 2, 2, 1, 1), fc_channels=128, fc6_kernel=3, pad=1, fc6_padding=1, dropout=0.0)
SIZE, BATCH, STEPS, RATE = 96, 4, 500, 0.02
ALGORITHMS = {"im2col": "im2col", "Winograd": "auto", "nudged": "im2col"}  # the kind of a run -> its convolutions'


class Run(NamedTuple):
    """One training: the loss of every step, and the mean IU on scenes that it has not seen."""

    losses: list
    mean_iu: float


def network(seed, kind, num_classes=6):
    """The network with the weights of a seed, for one of the kinds of runs."""
    net = vgg.fcn(CONFIG, "8s", num_classes, np.random.default_rng(seed))
    net.transform = models.MINI_TRANSFORM
    for layer in convolutions(net):
        layer.algorithm = ALGORITHMS[kind]
        if kind == "nudged":
            weight = layer.params["weight"]
            np.nextafter(weight, np.float32(np.inf), out=weight)
    return net


def convolutions(net):
    return [layer for layer in loss_shares.layers(net) if isinstance(layer, Conv2d)]


def trainer(seed, kind, steps, size=SIZE, batch=BATCH):
    """A run that has not started: the rate rises over the first twenty steps, and falls to zero at the end."""
    scenes = datasets.Shapes(400, size, classes_by="colour")
    net = network(seed, kind, scenes.num_classes)
    batches = datasets.Batches(scenes, batch, net.transform, seed=seed)
    schedule = warm_up(polynomial(RATE, steps), min(20, steps // 5))
    return Trainer(net, SGD(net, schedule, weight_decay=5e-4), batches)


def train(seed, kind, steps):
    """Train with one seed. Returns: Run."""
    run = trainer(seed, kind, steps).run(steps, progress=False)
    unseen = datasets.Shapes(100, SIZE, split="val", classes_by="colour")
    return Run(run.losses, float(evaluate(run.model, unseen).scores()["mean_iu"]))


def by_winograd(net, size, count):
    """The names of the convolutions for which "auto" takes Winograd's algorithm, for `count` pictures of a size."""
    shape, names = (count, 3, size, size), []
    for layer in net.trunk.layers:
        if isinstance(layer, Conv2d):
            geometry = shapes.conv_geometry(shape, layer.params["weight"], *layer.placing)
            if conv.choose(shape, layer.params["weight"].shape, geometry) == "winograd":
                names.append(layer.name)
        shape = count, *layer.output_shape(shape[1:])
    return names


def table(found):
    """The lines of the table. `found` is kind -> the Runs of all seeds, seed -> Run."""
    first, *others = found
    scores = {kind: np.array([run.mean_iu for run in runs.values()]) for kind, runs in found.items()}
    yield f"| seed | {' | '.join(found)} | {' | '.join(f'{kind} - {first}' for kind in others)} |"
    yield "|---|" + "---:|" * (len(found) + len(others))
    for place, seed in enumerate(found[first]):
        cells = [f"{of[place]:.4f}" for of in scores.values()]
        cells += [f"{scores[kind][place] - scores[first][place]:+.4f}" for kind in others]
        yield f"| {seed} | {' | '.join(cells)} |"
    for words, of in (("mean", np.mean), ("largest less smallest", np.ptp)):
        cells = [f"{of(each):.4f}" for each in scores.values()] + [" "] * len(others)
        yield f"| {words} | {' | '.join(cells)} |"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--nudged", action="store_true", help="add the nudged runs")
    options = parser.parse_args(arguments)
    for count in (BATCH, BATCH // 2):  # the trainer may halve a batch
        print(f"{count} pictures, by Winograd: {', '.join(by_winograd(network(0, 'Winograd'), SIZE, count))}")
    found = {}
    for kind in ALGORITHMS if options.nudged else ("im2col", "Winograd"):
        found[kind] = {}
        for seed in options.seeds:
            run = found[kind][seed] = train(seed, kind, options.steps)
            print(f"{kind}, seed {seed}: mean IU {run.mean_iu:.4f}, losses {_eighths(run.losses)}", flush=True)
    print("", *table(found), sep="\n")


def _eighths(losses):
    """The mean loss of each eighth of the run: it shows whether the loss is flat at the end."""
    return " ".join(f"{np.mean(part):.4f}" for part in np.array_split(losses, 8))


if __name__ == "__main__":
    main()
