"""A quick comparison: thin networks, few steps, small scenes."""

import pytest

from fcn_from_scratch import datasets
from fcn_from_scratch.lab.compare import Nets, Settings
from fcn_from_scratch.lab.compare.training_plan import fingerprint

SIZE = (64, 96)


def scenes(split, count):
    return datasets.InMemory(datasets.Shapes(count=count, size=SIZE, split=split, classes_by="colour"))


@pytest.fixture(scope="session")
def train():
    return scenes("train", 6)


@pytest.fixture(scope="session")
def val():
    return scenes("val", 3)


@pytest.fixture(scope="session")
def settings(train):
    return Settings("mini", {"width": 2, "fc6_kernel": 2}, train.num_classes, 8, 2, None, 0, fingerprint(train))


@pytest.fixture(scope="session")
def nets(settings, train):
    """Nets without a cache."""
    return Nets(settings, train, progress=False, say=lambda text: None)


@pytest.fixture
def said():
    """A list of the messages: `said.append` is the Nets' `say`."""
    return []
