"""One published experiment from its start to its scores: FCN-32s, 16s and 8s on a made tree of PASCAL VOC and SBD.

Each stage is one command. The networks are narrow, and the steps few; all else is the recipe's.
"""

import json
import time

import numpy as np
import pytest
import trees
from PIL import Image

from fcn_from_scratch import models
from fcn_from_scratch.training import checkpoint

WIDTH, STEPS = 2, 4
TRAIN = ["2008_000001", "2008_000002", "2008_000003", "2009_000004"]
VAL = ["2007_000011", "2009_000004", "2010_000012"]  # one of these is in SBD's training list
SEG11VALID = ["2007_000011", "2010_000012"]
MEAN_BGR = (104.00698793, 116.66876762, 122.67891434)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(5)
    trees.voc(root, rng, "VOC2011", val=VAL)
    trees.sbd(root, rng, train=TRAIN)
    return root


@pytest.fixture
def vgg16(tmp_path):
    """A narrow VGG16 as people have it: plain arrays with Caffe's shapes, fc8 among them, and no record of anything."""
    net, rng = models.build("fcn32s", 21, width=WIDTH, seed=7), np.random.default_rng(8)
    arrays = {name: array for name, array in net.params.items() if not name.startswith("score")}
    for name in ("fc6.weight", "fc7.weight"):
        arrays[name] = arrays[name].reshape(len(arrays[name]), -1)
    arrays["fc8.weight"] = rng.standard_normal((1000, len(arrays["fc7.bias"]))).astype(np.float32)
    np.savez(tmp_path / "vgg16.npz", **arrays)
    return tmp_path / "vgg16.npz"


def predicted(path, picture):
    """The class ids of a picture by a checkpoint, with the input made by hand: BGR minus VOC's mean, as published."""
    arrays, meta = checkpoint.read(path)
    options = dict(meta["options"])
    net = models.build(meta["model"], options.pop("num_classes"), seed=None, **options).eval()
    net.load_state_dict({name[6:]: a for name, a in arrays.items() if name.startswith("model/")}, strict=False)
    with Image.open(picture) as image:
        x = np.asarray(image)[:, :, ::-1].astype(np.float32) - np.float32(MEAN_BGR)
    return net(np.ascontiguousarray(x.transpose(2, 0, 1))[None]), net


def test_three_stages(data, vgg16, done, tmp_path):
    began = time.monotonic()
    words = ["--root", data, "--width", WIDTH, "--lr", 1e-6]  # a rate with which four steps show

    def train(recipe, folder, start, *more, steps=STEPS):
        return done(
            *("train", "--recipe", recipe, "--weights", start, *words, "--steps", steps),
            *(*more, "--out", tmp_path / folder),
        )

    out = train("fcn32s-heavy", "32s", vgg16)
    assert "for sbd train, scored on voc seg11valid" in out.splitlines()[0]
    assert f"changed settings: --steps {STEPS} for 100000, --lr 1e-06 for 1e-10" in out
    assert f"{len(TRAIN)} pictures of sbd" in out
    assert "note: sbd train has 4 pictures here, 8,498 in the published experiment" in out
    assert "note: voc seg11valid has 2 pictures here, 736 in the published experiment" in out
    assert "input: BGR, 0..255, minus (104.007, 116.669, 122.679): colour pictures, as the data set's" in out

    out = train("fcn16s-heavy", "16s", tmp_path / "32s" / "checkpoint.npz", steps=STEPS // 2)
    assert "missing: score_pool4.weight, score_pool4.bias" in out
    done("train", "--resume", "--steps", STEPS, "--out", tmp_path / "16s")
    train("fcn16s-heavy", "unbroken", tmp_path / "32s" / "checkpoint.npz")
    whole, resumed = (checkpoint.read(tmp_path / name / "checkpoint.npz")[0] for name in ("unbroken", "16s"))
    assert whole.keys() == resumed.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=name)

    train("fcn8s-heavy", "8s", tmp_path / "16s" / "checkpoint.npz")
    arrays = checkpoint.read(tmp_path / "8s" / "checkpoint.npz")[0]
    assert np.abs(arrays["model/score_pool3.weight"]).max() > 0, "the newest skip has learned"
    assert not np.array_equal(arrays["model/conv1_1.weight"], whole["model/conv1_1.weight"])

    _score(done, data, tmp_path)
    assert time.monotonic() - began < 60


def _score(done, data, tmp_path):
    """The 8s is scored on seg11valid, which is where its run was scored; its predictions are saved."""
    out = done("evaluate", "--out", tmp_path / "8s", "--save-dir", tmp_path / "ids")
    metrics = json.loads((tmp_path / "8s" / "metrics.json").read_text())
    assert metrics["pictures"] == len(SEG11VALID)
    assert sorted(path.name for path in (tmp_path / "ids").iterdir()) == [f"{name}.png" for name in SEG11VALID]
    kit, right, counted, losses = data / "VOCdevkit" / "VOC2011", 0, 0, []
    for name in SEG11VALID:
        scores, _ = predicted(tmp_path / "8s" / "checkpoint.npz", kit / "JPEGImages" / f"{name}.jpg")
        with Image.open(tmp_path / "ids" / f"{name}.png") as picture:
            assert picture.mode == "P"
            assert picture.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
            np.testing.assert_array_equal(np.asarray(picture), scores[0].argmax(axis=0))
        with Image.open(kit / "SegmentationClass" / f"{name}.png") as picture:
            labels = np.asarray(picture)
        valid = labels != 255
        right += (scores[0].argmax(axis=0) == labels)[valid].sum()
        counted += valid.sum()
        log_p = scores[0].astype(np.float64) - np.log(np.exp(scores[0].astype(np.float64)).sum(axis=0))
        losses.append(-np.take_along_axis(log_p, np.where(valid, labels, 0)[None].astype(int), 0)[0][valid].mean())
    assert metrics["scores"]["pixel_accuracy"] == pytest.approx(right / counted)
    assert metrics["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert f"mean loss {np.mean(losses):.4f} a pixel" in out
