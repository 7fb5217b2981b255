"""Tiny runs of `fcn train`, folders of pictures, and what the tables say: for the tests of the commands."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn_from_scratch.training import checkpoint

TINY = ["--width", "2", "--size", "32x32", "--count", "6", "--batch-size", "2"]
SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"  # drawn pictures in the layout of PASCAL VOC
# VOC's first colours, from its development kit
VOC_COLOURS = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128)]


def predictions(model, image):
    """The arg-max of the scores for the picture, prepared by hand: BGR, minus VOC's mean, divided by 60."""
    x = image[:, :, ::-1].astype(np.float32) - np.float32((104.00698793, 116.66876762, 122.67891434))
    x *= np.float32(1 / 60)
    return model(x.transpose(2, 0, 1)[None]).argmax(axis=1)[0]


def noise(height, width, seed=0):
    """A picture of coarse random patches, so that the scores vary."""
    blocks = np.random.default_rng(seed).integers(256, size=(height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def write_folder(root, sizes, ids=3, seed=0):
    """Write a folder dataset: pictures 0.png, 1.png, ... of the given (height, width), and labels of ids and 255."""
    rng = np.random.default_rng(seed)
    for place in ("images", "labels"):
        (root / place).mkdir(parents=True)
    for number, (height, width) in enumerate(sizes):
        Image.fromarray(noise(height, width, number)).save(root / "images" / f"{number}.png")
        labels = rng.choice(np.array([*range(ids), 255], np.uint8), (height, width))
        labels[0, 0] = ids - 1
        Image.fromarray(labels).save(root / "labels" / f"{number}.png")
    return root


def arrays_of(path):
    return checkpoint.read(path)[0]


def log_of(folder):
    """The rows of log.csv, each a list of words, without the seconds: these differ from run to run."""
    rows = [line.split(",") for line in (folder / "log.csv").read_text(encoding="utf-8").splitlines()]
    return [row[:3] + row[4:] for row in rows]


def table(out):
    """The rows of a printed table of scores: name -> numbers, with None for a dash."""
    rows = {}
    for line in out.splitlines():
        found = re.fullmatch(r"(\S.*?)((?: +(?:-|\d+\.\d))+)(?:   \(.*\))?", line)
        if found:
            rows[found[1]] = [None if word == "-" else float(word) for word in found[2].split()]
    return rows


def percent(value):
    return None if value is None else pytest.approx(100 * value, abs=0.0501)


def assert_table_is_metrics(out, path, classes):
    """The printed numbers are those of metrics.json, rounded to one digit."""
    rows, metrics = table(out), json.loads(path.read_text(encoding="utf-8"))
    assert list(metrics["classes"]) == list(classes)
    for name, values in metrics["classes"].items():
        assert rows[name] == [percent(values[key]) for key in ("share", "accuracy", "iu")], name
    for name, value in metrics["scores"].items():
        assert rows[name.replace("_", " ").replace("iu", "IU")][0] == percent(value), name
    return metrics
