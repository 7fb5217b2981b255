"""A mini network trained for two seconds, on pictures whose classes differ in colour."""

import pytest

from fcn_from_scratch import datasets, models
from fcn_from_scratch.training import fit

SIZE = (48, 48)


@pytest.fixture(scope="session", params=[0, 1])
def trained(request):
    """(network in eval mode, validation samples (image, labels))."""
    seed = request.param
    scenes = datasets.InMemory(datasets.Shapes(150, SIZE, seed=seed, classes_by="colour"))
    net = models.build("mini_fcn8s", scenes.num_classes, width=8, seed=seed)
    fit(net, scenes, steps=100, lr=0.05, seed=seed, progress=False)
    held_out = datasets.Shapes(10, SIZE, seed=seed, split="val", classes_by="colour")
    return net.eval(), [(sample.image, sample.labels) for sample in held_out]
