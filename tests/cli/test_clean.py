"""Every command under `python -X dev -W error`: no file left open, no deprecated call, no warning of NumPy's."""

import subprocess
import sys

import pytest
from cli_runs import SAMPLE, TINY, noise
from PIL import Image

from fcn_from_scratch import cli

RUN = "run/checkpoint.npz"
IN_ORDER = {  # later ones read what the first has written
    "train": [*TINY, "--steps", 2, "--val-every", 1, "--out", "run"],
    "evaluate": ["--weights", RUN],
    "segment": ["photo.png", "--weights", RUN, "--out", "segmented"],
    "export": [RUN, "net.safetensors"],
    "weights": ["verify", RUN],
    "inspect": ["mini_fcn8s", "--size", "64x64"],
    "gradcheck": [],
    "data": ["voc", "--root", SAMPLE, "--split", "train"],
    "doctor": ["--weights", RUN],
    "compare": ["--methods", "32s", "--width", 2, "--steps", 2, "--size", "64x64", "--count", 2, "--out", "compared"],
    "bench": [
        "--model",
        "mini_fcn8s",
        "--size",
        "32x32",
        "--width",
        2,
        "--peer",
        "none",
        "--repeats",
        2,
        "--out",
        "bench",
    ],
    "lessons": ["list"],
    "exercise": ["8"],
    "published": [],
}


def test_each_command_is_here():
    assert IN_ORDER.keys() == set(cli.COMMANDS)


@pytest.mark.slow
def test_each_command_is_clean(tmp_path):
    Image.fromarray(noise(40, 48)).save(tmp_path / "photo.png")
    for name, words in IN_ORDER.items():
        command = [sys.executable, "-X", "dev", "-W", "error", "-m", "fcn_from_scratch", name, *map(str, words)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, (name, done.stderr)
        for trace in ("Traceback", "Exception ignored", "Warning: "):
            assert trace not in done.stderr, (name, done.stderr)
