"""The peak memory of a forward in eval mode, in a fresh process: only the maps that are still needed are alive.

The bound is computed from the network. While a run of layers (layers.fused) computes, three things are alive: the map
that it reads, the map that it makes, and the pools that the head will read. A map that is kept longer, a second copy of
one, or a map between a convolution and its pool breaks the bound.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fcn_from_scratch import geometry, models
from fcn_from_scratch.engine.workspace import COMMON
from fcn_from_scratch.layers import fused

STATUS = Path("/proc/self/status")
SIZE, CLASSES = 1000, 4
BUFFERS = (48 << 20) + COMMON.most  # bytes: more than the bands of two threads take, and what a process keeps
OPTIONS = {"width": 16, "pad": 100, "fc6_kernel": 7, "fc6_padding": 0, "convs": (2, 2, 3, 3, 3)}

pytestmark = pytest.mark.skipif(not STATUS.is_file(), reason="there is no /proc to read the peak memory from")

CHILD = """
import json, sys
import numpy as np
from fcn_from_scratch import models
from fcn_from_scratch.dense import TiledPredictor
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.lab import memory
from fcn_from_scratch.training.evaluation import predict

size, classes, options, how, tile = json.loads(sys.argv[1])
model = models.build("mini_fcn8s", classes, seed=0, **options).eval()
for layer in model.trunk.layers:
    if getattr(layer, "kernel_size", None) == (3, 3) and layer.in_channels >= 16:
        layer.algorithm = "winograd"  # as in a network of full width: it needs no padded copy of a map
x = np.ones((1, 3, size, size), np.float32)
warm_up = np.ones((1, 3, 64, 64), np.float32)
model(warm_up)
if how == "workspace":
    model.use(Workspace())
predictor = model if tile is None else TiledPredictor(model, tile)
before = memory.peak()
for _ in range(2):
    (predict if how == "classes" else lambda model, x: model(x))(predictor, x)
print(memory.peak() - before)
"""


def peak(how="scores", tile=None, size=SIZE):
    """The bytes by which a forward raises the peak memory of a fresh process. How: see CHILD."""
    arguments = json.dumps([size, CLASSES, OPTIONS, how, tile])
    environment = {"FCN_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "PYTHONPATH": str(Path(models.__file__).parents[2])}
    found = subprocess.run([sys.executable, "-c", CHILD, arguments], capture_output=True, text=True, env=environment)
    assert found.returncode == 0, found.stderr
    return int(found.stdout)


def needed(size=SIZE):
    """Bytes that must be alive at once: of the run that needs most, or the scores and what they are made from."""
    model = models.build("mini_fcn8s", CLASSES, seed=None, **OPTIONS).eval()
    sizes = geometry.map_sizes(model, size)
    maps = {name: found.channels * found.size[0] * found.size[1] * 4 for name, found in sizes.items()}
    most, read, kept = 0, maps["image"], 0
    for names in fused.groups(model.trunk.children, model.trunk.taps):
        made = maps[names[-1]]
        most = max(most, read + made + kept)
        read, kept = made, kept + (made if names[-1] in model.trunk.taps else 0)
    return max(most, maps["upscore8"] + kept)


@pytest.mark.parametrize("how", ["scores", "classes"])
def test_only_the_maps_that_are_needed_are_alive(how):
    found = peak(how)
    assert 0.5 * needed() < found < needed() + BUFFERS


def test_a_workspace_keeps_hardly_more():
    """Its memory stays while the scores are made. They need nothing more, since they lie in it too."""
    assert peak("workspace") < needed() + BUFFERS


def test_tiles_need_less():
    size, tile = 1500, 512
    whole, tiled = peak("classes", size=size), peak("classes", tile, size)
    assert whole - tiled > 0.5 * (needed(size) - needed(tile))
    assert tiled < needed(tile) + 8 * size**2 + 2 * BUFFERS  # and the classes of the whole picture
