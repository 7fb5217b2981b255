"""Run commands as a user does, in this process; runs and folders that several tests share."""

import io
from contextlib import redirect_stdout
from types import SimpleNamespace

import numpy as np
import pytest
from cli_runs import (
    TINY,
    write_folder,
)

from fcn_from_scratch import models
from fcn_from_scratch.cli import main


@pytest.fixture
def fcn(capsys):
    """A function that runs one command; returns the exit status, the output and the messages."""

    def run(*words):
        try:
            status = main(list(map(str, words)))
        except SystemExit as end:  # argparse exits this way
            status = end.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def done(fcn):
    """A function that runs a command which must succeed; returns the output."""

    def run(*words):
        status, out, err = fcn(*words)
        assert (status, err) == (0, "")
        return out

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of 5 steps on drawn shapes: its folder and the output of `fcn train`."""
    folder, out = tmp_path_factory.mktemp("run") / "shapes", io.StringIO()
    with redirect_stdout(out):
        assert main(["train", *TINY, "--dropout", "0.3", "--steps", "5", "--seed", "3", "--out", str(folder)]) == 0
    return SimpleNamespace(folder=folder, checkpoint=folder / "checkpoint.npz", out=out.getvalue())


@pytest.fixture(scope="module")
def varied(tmp_path_factory):
    """A file of plain weights whose predictions differ from pixel to pixel, and a model with these weights."""
    model = models.build("mini_fcn8s", 6, width=16, seed=1)
    rng = np.random.default_rng(2)
    for name, w in model.params.items():
        if name.startswith("score"):
            w[...] = rng.standard_normal(w.shape)
    path = tmp_path_factory.mktemp("varied") / "varied.npz"
    np.savez(path, **model.params)
    return SimpleNamespace(path=path, model=model.eval())


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "data", [(33, 40), (20, 50), (41, 32), (16, 16), (32, 32), (27, 39)])


@pytest.fixture
def mistake(fcn):
    """A function that runs a command with a mistake; returns the one line of its message."""

    def run(*words):
        status, _, err = fcn(*words)
        assert status == 2
        assert err.count("\n") == 1
        assert err.startswith("fcn: ")
        return err

    return run
