"""A network trained to convergence twice, by im2col and with Winograd's algorithm: the table of docs/performance.md.

python tests/tools/winograd_training.py              all seeds, to convergence
python tests/tools/winograd_training.py --seeds 0 --steps 50

The network is FCN-8s in VGG16's shape with 64 channels in every stage. So "auto" takes Winograd's F(4, 3) for the
convolutions of the first three stages. For one seed, both runs have the same weights at the start, the same scenes in
the same order, and the same steps.
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
ALGORITHMS = ("im2col", "auto")
SIZE, BATCH, STEPS, RATE = 96, 4, 800, 0.02


class Run(NamedTuple):
    """One training: the loss of every step, and the mean IU on scenes that it has not seen."""

    losses: list
    mean_iu: float


def network(seed, algorithm, num_classes=6):
    """The network with the weights of a seed, all of whose convolutions use an algorithm."""
    net = vgg.fcn(CONFIG, "8s", num_classes, np.random.default_rng(seed))
    net.transform = models.MINI_TRANSFORM
    for layer in convolutions(net):
        layer.algorithm = algorithm
    return net


def convolutions(net):
    return [layer for layer in loss_shares.layers(net) if isinstance(layer, Conv2d)]


def trainer(seed, algorithm, steps, size=SIZE, batch=BATCH):
    """A run that has not started: the rate rises over the first twenty steps, and falls to zero at the end."""
    scenes = datasets.Shapes(400, size, seed=seed, classes_by="colour")
    net = network(seed, algorithm, scenes.num_classes)
    batches = datasets.Batches(scenes, batch, net.transform, seed=seed)
    schedule = warm_up(polynomial(RATE, steps), min(20, steps // 5))
    return Trainer(net, SGD(net, schedule, weight_decay=5e-4), batches)


def train(seed, algorithm, steps, progress=False):
    """Train with one seed by one algorithm. Returns: Run."""
    run = trainer(seed, algorithm, steps).run(steps, progress)
    unseen = datasets.Shapes(100, SIZE, seed=seed, split="val", classes_by="colour")
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
    """The lines of the table. `found` is seed -> the Runs of ALGORITHMS."""
    yield "| seed | im2col | Winograd | difference | last loss, im2col | last loss, Winograd |"
    yield "|---|---:|---:|---:|---:|---:|"
    for seed, runs in found.items():
        direct, fast = (run.mean_iu for run in runs)
        last = " | ".join(f"{np.mean(run.losses[-50:]):.4f}" for run in runs)
        yield f"| {seed} | {direct:.4f} | {fast:.4f} | {fast - direct:+.4f} | {last} |"
    spread = " | ".join(f"{np.ptp([runs[which].mean_iu for runs in found.values()]):.4f}" for which in (0, 1))
    yield f"| largest less smallest | {spread} | | | |"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args(arguments)
    whole, half = (by_winograd(network(0, "auto"), SIZE, count) for count in (BATCH, BATCH // 2))
    print(f"by Winograd's algorithm: {', '.join(whole)}; in parts of half a batch: {', '.join(half)}", flush=True)
    found = {}
    for seed in options.seeds:
        found[seed] = []
        for algorithm in ALGORITHMS:
            run = train(seed, algorithm, options.steps)
            found[seed].append(run)
            print(f"seed {seed}, {algorithm}: {run.mean_iu:.4f}, losses {_every(run.losses)}", flush=True)
    print("", *table(found), sep="\n")


def _every(losses, parts=8):
    """The mean loss of each eighth of the run: it shows whether the loss is flat at the end."""
    return " ".join(f"{np.mean(part):.4f}" for part in np.array_split(losses, parts))


if __name__ == "__main__":
    main()
