"""Every command feeds a network by one rule, and says in one line what it feeds. Expected inputs are made by hand."""

import json

import numpy as np
import pytest
import trees
from PIL import Image

from fcn_from_scratch import datasets, models, weights
from fcn_from_scratch.training import checkpoint

NYUD, HHA, LOG_DEPTH = (116.190, 97.203, 92.318), (132.431, 94.076, 118.477), 7.844
SIFT_FLOW = (114.578, 115.294, 108.353)
NETWORKS = {
    "color": ("fcn32s", {}),
    "color-d": ("fcn32s", {"in_channels": 4}),
    "hha": ("fcn32s", {}),
    "color-hha": ("fcn32s_late_fusion", {}),
}
SAID = {
    "color": "BGR, 0..255, minus (116.19, 97.203, 92.318)",
    "color-d": "BGR, 0..255, minus (116.19, 97.203, 92.318), and ln(depth) minus 7.844",
    "hha": "HHA in the files' order, 0..255, minus (132.431, 94.076, 118.477)",
    "color-hha": "BGR, 0..255, minus (116.19, 97.203, 92.318), and HHA minus (132.431, 94.076, 118.477)",
}


WORDS = {
    "color": "colour pictures",
    "color-d": "colour pictures with a depth map",
    "hha": "HHA pictures",
    "color-hha": "colour pictures with an HHA picture",
}


def by_hand(written, modality):
    """The input (1, C, H, W) that the paper's code makes of a tree's arrays."""
    colour = written["images"][:, :, ::-1].astype(np.float32) - np.float32(NYUD)
    hha = written["hha"].astype(np.float32) - np.float32(HHA)
    depth = np.log(written["depth"].astype(np.float32))[:, :, None] - np.float32(LOG_DEPTH)
    parts = {"color": [colour], "color-d": [colour, depth], "hha": [hha], "color-hha": [colour, hha]}[modality]
    return np.ascontiguousarray(np.concatenate(parts, axis=2).transpose(2, 0, 1))[None]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """(folder, what was written) of an NYUDv2 of three pictures."""
    root = tmp_path_factory.mktemp("nyud")
    _, written = trees.nyud(root, np.random.default_rng(3), train=["5001"], val=["5002"], test=["5003"])
    return root, written


def varied(modality, num_classes=40, name=None, options=None):
    """A network whose predictions differ from pixel to pixel and depend on the input's mean and order."""
    known, more = NETWORKS[modality]
    net = models.build(name or known, num_classes, width=2, seed=1, **(more if options is None else options))
    rng = np.random.default_rng(2)
    for key, weight in net.params.items():
        if key.startswith("score"):
            weight[...] = 0.1 * rng.standard_normal(weight.shape)
        elif key.endswith("bias"):
            weight[...] = 0.3
    return net.eval()


def save(path, net):
    """Write weights that name their network and its options, as `fcn export` does, but no preprocessing."""
    meta = json.dumps({"model": net.name, "options": net.options}).encode()
    np.savez(path, **net.params, meta=np.frombuffer(meta, np.uint8))


def of_first_head(scores):
    return (scores[0] if isinstance(scores, tuple) else scores)[0].argmax(axis=0)


def ids(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("modality", NETWORKS)
class TestPlainWeights:
    """Weights that record nothing are fed what the published code fed."""

    def test_evaluate(self, tree, done, tmp_path, modality):
        (root, written), net = tree, varied(modality)
        save(tmp_path / "w.npz", net)
        words = ["--dataset", "nyud", "--modality", modality, "--root", root, "--split", "test"]
        out = done(
            *("evaluate", "--weights", tmp_path / "w.npz", "--model", NETWORKS[modality][0], *words),
            *("--save-dir", tmp_path / "ids"),
        )
        assert f"{SAID[modality]}: {WORDS[modality]}, as the data set's published code fed it" in out
        expected = of_first_head(net(by_hand(written["5003"], modality)))
        assert len(np.unique(expected)) > 1
        np.testing.assert_array_equal(ids(tmp_path / "ids" / "5003.png"), expected)

    def test_doctor(self, tree, fcn, tmp_path, modality):
        net = varied(modality)
        save(tmp_path / "w.npz", net)
        words = ["--dataset", "nyud", "--modality", modality, "--root", tree[0], "--split", "test"]
        _, out, _ = fcn("doctor", "--weights", tmp_path / "w.npz", "--model", NETWORKS[modality][0], *words)
        assert f"{SAID[modality]}: {WORDS[modality]}, as the data set's published code fed it" in out

    def test_train_records_it(self, tree, done, tmp_path, modality):
        net = varied(modality)
        for key, weight in net.params.items():
            weight *= 0.01 if key.startswith("score") else 1  # a loss that makes sense
        save(tmp_path / "w.npz", net)
        words = ["--dataset", "nyud", "--modality", modality, "--root", tree[0], "--width", 2, "--steps", 1]
        out = done(
            *("train", "--model", NETWORKS[modality][0], "--weights", tmp_path / "w.npz", *words, "--lr", 1e-12),
            *("--out", tmp_path / "run"),
        )
        assert f"{SAID[modality]}: {WORDS[modality]}, as the data set's published code fed it" in out
        transform = datasets.Preprocess.from_dict(
            checkpoint.read(tmp_path / "run/checkpoint.npz")[1]["extra"]["transform"]
        )
        dataset = datasets.build("nyud", tree[0], "train", modality=modality)
        expected = by_hand(tree[1]["5001"], modality)[0]
        np.testing.assert_allclose(transform(dataset[0].image), expected, atol=1e-4)
        out = done("evaluate", "--out", tmp_path / "run")
        assert f"{SAID[modality]}: {WORDS[modality]}, as the weights record" in out


class TestTheRunsData:
    @pytest.fixture
    def run(self, tree, done, tmp_path):
        """A run on HHA, by its recipe."""
        done(
            *("train", "--recipe", "nyud-fcn32s-hha-heavy", "--root", tree[0], "--width", 2, "--steps", 1),
            *("--out", tmp_path / "run"),
        )
        return tmp_path / "run"

    def test_the_modality_is_the_runs(self, run, tree, done):
        out = done("evaluate", "--out", run, "--dataset", "nyud", "--root", tree[0], "--split", "test")
        assert SAID["hha"] in out

    def test_another_modality_is_refused(self, run, tree, mistake):
        """Colour has three channels as well, so nothing else would tell."""
        words = ["--dataset", "nyud", "--root", tree[0], "--modality", "color"]
        assert "trained on nyud's hha; --modality says color" in mistake("evaluate", "--out", run, *words)

    def test_segment_says_what_it_was_trained_for(self, run, tree, done, tmp_path):
        out = done(
            "segment", tree[0] / "nyud/data/hha/img_5003.png", "--weights", run / "checkpoint.npz", "--out", tmp_path
        )
        assert f"input: {SAID['hha']}: HHA pictures, as the weights record; trained on nyud" in out

    def test_a_resumed_run_feeds_the_same(self, run, done):
        out = done("train", "--resume", "--steps", 2, "--out", run)
        assert f"{SAID['hha']}: HHA pictures, as the run recorded" in out


def test_siftflow(done, tmp_path):
    trees.siftflow(tmp_path, np.random.default_rng(4), ["coast_a"], ["coast_b"])
    net = varied("color", (33, 3), "fcn32s_two_heads")
    save(tmp_path / "w.npz", net)
    image = ids(tmp_path / "siftflow/Images" / trees.SCENES / "coast_a.jpg")
    x = np.ascontiguousarray((image[:, :, ::-1] - np.float32(SIFT_FLOW)).transpose(2, 0, 1))[None]
    semantic, geometric = net(x)
    words = ["--weights", tmp_path / "w.npz", "--model", "fcn32s_two_heads"]
    out = done("evaluate", *words, "--dataset", "siftflow", "--root", tmp_path, "--save-dir", tmp_path / "ids")
    assert "minus (114.578, 115.294, 108.353): colour pictures, as the data set's published code fed it" in out
    np.testing.assert_array_equal(ids(tmp_path / "ids/coast_a.png"), semantic[0].argmax(axis=0))
    np.testing.assert_array_equal(ids(tmp_path / "ids/geometric/coast_a.png"), geometric[0].argmax(axis=0))
    # segment knows them by their classes: 33 and 3
    picture = tmp_path / "siftflow/Images" / trees.SCENES / "coast_a.jpg"
    out = done("segment", picture, *words, "--out", tmp_path / "out")
    assert "minus (114.578, 115.294, 108.353)" in out
    np.testing.assert_array_equal(ids(tmp_path / "out/coast_a_labels.png"), semantic[0].argmax(axis=0))


class TestSegment:
    @pytest.fixture
    def photo(self, tree, tmp_path):
        """A function that writes a picture and the map beside it; returns the picture's path."""

        def write(modality, where="{folder}/photo_{kind}.png"):
            kind, what = ("depth", "depth") if modality == "color-d" else ("hha", "hha")
            folder = tmp_path / "photos"
            folder.mkdir(exist_ok=True)
            Image.fromarray(tree[1]["5003"]["images"]).save(folder / "photo.png")
            path = tmp_path / where.format(folder="photos", kind=kind)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(tree[1]["5003"][what]).save(path)
            return folder / "photo.png"

        return write

    @pytest.mark.parametrize("modality", ["color-d", "color-hha"])
    @pytest.mark.parametrize("where", ["{folder}/photo_{kind}.png", "{folder}/{kind}/photo.png", "{kind}/photo.png"])
    def test_a_map_beside_the_picture(self, tree, photo, done, tmp_path, modality, where):
        net = varied(modality)
        save(tmp_path / "w.npz", net)
        path = photo(modality, where)
        words = ["--weights", tmp_path / "w.npz", "--model", NETWORKS[modality][0], "--out", tmp_path / "out"]
        out = done("segment", path.parent / "*.png", *words)
        assert SAID[modality] in out
        assert {p.name for p in (tmp_path / "out").iterdir()} == {
            f"photo_{kind}.png" for kind in ("labels", "colour", "overlay", "figure")
        }, "the map beside it is no picture of its own"
        expected = of_first_head(net(by_hand(tree[1]["5003"], modality)))
        np.testing.assert_array_equal(ids(tmp_path / "out/photo_labels.png"), expected)

    def test_a_map_that_is_named(self, tree, photo, done, mistake, tmp_path):
        net = varied("color-d")
        save(tmp_path / "w.npz", net)
        path = photo("color-d", "elsewhere/of_photo.png")
        words = ["segment", path, "--weights", tmp_path / "w.npz", "--model", "fcn32s", "--out", tmp_path / "out"]
        assert "no depth map lies beside" in mistake(*words)
        done(*words, "--depth", tmp_path / "elsewhere/of_{name}.png")
        expected = of_first_head(net(by_hand(tree[1]["5003"], "color-d")))
        np.testing.assert_array_equal(ids(tmp_path / "out/photo_labels.png"), expected)
        assert "no file" in mistake(*words, "--depth", tmp_path / "{name}.png")

    def test_a_map_of_another_size(self, tree, photo, mistake, tmp_path):
        save(tmp_path / "w.npz", varied("color-d"))
        path = photo("color-d")
        Image.fromarray(tree[1]["5003"]["depth"][:-3]).save(path.parent / "photo_depth.png")
        words = ["segment", path, "--weights", tmp_path / "w.npz", "--model", "fcn32s", "--out", tmp_path / "out"]
        assert "differ in size: 40x48 and 37x48 pixels" in mistake(*words)

    def test_a_map_that_nobody_reads(self, photo, mistake, tmp_path):
        save(tmp_path / "w.npz", varied("color"))
        words = ["--weights", tmp_path / "w.npz", "--model", "fcn32s", "--out", tmp_path / "out"]
        error = mistake("segment", photo("color-d"), *words, "--depth", "x.png")
        assert "--depth: a fcn32s reads colour pictures only" in error

    def test_one_map_for_two_pictures(self, photo, mistake, tmp_path):
        save(tmp_path / "w.npz", varied("color-d"))
        path = photo("color-d")
        Image.open(path).save(tmp_path / "other.png")
        words = ["--weights", tmp_path / "w.npz", "--model", "fcn32s", "--out", tmp_path / "out"]
        error = mistake("segment", path, tmp_path / "other.png", *words, "--depth", "x.png")
        assert "one file for 2 pictures: write {name}" in error

    def test_smaller(self, photo, done, tmp_path):
        save(tmp_path / "w.npz", varied("color-d"))
        words = ["--weights", tmp_path / "w.npz", "--model", "fcn32s", "--out", tmp_path / "out", "--max-size", 24]
        done("segment", photo("color-d"), *words)
        assert ids(tmp_path / "out/photo_labels.png").shape == (20, 24)

    @pytest.mark.parametrize(("words", "said"), [(["--dataset", "nyud", "--modality", "hha"], "hha"), ([], None)])
    def test_the_data_set_of_plain_weights(self, tree, done, tmp_path, words, said):
        """40 classes are NYUDv2's, but nothing tells colour from HHA: the user is asked."""
        net = varied("hha")
        save(tmp_path / "w.npz", net)
        picture = tree[0] / "nyud/data/hha/img_5003.png"
        network = ["--weights", tmp_path / "w.npz", "--model", "fcn32s", "--out", tmp_path / "out"]
        out = done("segment", picture, *network, *words)
        assert ("note: 40 classes are those of NYUDv2" in out) == (said is None)
        if said:
            assert SAID[said] in out
            expected = of_first_head(net(by_hand(tree[1]["5003"], "hha")))
            np.testing.assert_array_equal(ids(tmp_path / "out/img_5003_labels.png"), expected)

    def test_channels_that_do_not_fit(self, tree, mistake, tmp_path):
        save(tmp_path / "w.npz", varied("color"))
        words = ["--weights", tmp_path / "w.npz", "--model", "fcn32s", "--dataset", "nyud", "--modality", "color-d"]
        error = mistake("segment", tree[0] / "nyud/data/hha/img_5003.png", *words, "--out", tmp_path / "out")
        assert "reads 3 channels; colour pictures with a depth map have 4" in error


def test_compare_says_it(done, tmp_path):
    words = ["--methods", "32s", "--steps", 1, "--count", 1, "--width", 2, "--size", "64x64"]
    out = done("compare", *words, "--out", tmp_path)
    assert (
        "input: BGR, 0..255, minus (104.007, 116.669, 122.679) / (60, 60, 60): colour pictures, the network's own"
        in out
    )


def test_compare_feeds_what_the_published_code_fed(done, tmp_path):
    """On NYUDv2's colours: their mean. The trunk and all networks on it are trained here."""
    names = [f"5{number:03}" for number in range(8)]
    trees.nyud(tmp_path, np.random.default_rng(3), train=names, val=names[:2])
    words = ["--methods", "32s", "--steps", 1, "--count", 1, "--width", 2, "--dataset", "nyud", "--root", tmp_path]
    out = done("compare", *words, "--out", tmp_path / "out")
    assert (
        "minus (116.19, 97.203, 92.318) / (60, 60, 60): colour pictures, as the data set's published code fed it" in out
    )
    files = sorted((tmp_path / "out/cache").glob("*.npz"))
    assert files
    for path in files:
        assert checkpoint.read(path)[1]["extra"]["transform"]["mean"] == list(NYUD)


@pytest.mark.parametrize(("words", "mean"), [([], (104.00698793, 116.66876762, 122.67891434)), (["nyud"], NYUD)])
def test_export_takes_the_data_set_of_plain_weights(done, tmp_path, words, mean):
    """What the new file records is what every later command feeds, so it must be right here."""
    save(tmp_path / "w.npz", varied("color"))
    words = ["--dataset", *words] if words else []
    out = done("export", tmp_path / "w.npz", tmp_path / "w.safetensors", *words)
    assert "input: BGR, 0..255, minus" in out
    net = models.build("fcn32s", 40, width=2)
    weights.load(net, tmp_path / "w.safetensors")
    assert net.told.transform.mean == mean


def test_doctor_of_a_photo_without_depth(fcn, tree, tmp_path):
    save(tmp_path / "w.npz", varied("color-d"))
    status, out, err = fcn("doctor", tree[0] / "nyud/data/images/img_5003.png", "--weights", tmp_path / "w.npz")
    assert (status, err) == (1, "")
    assert "SERIOUS images: fcn32s reads 4 channels, and a photo has 3" in out


def test_a_map_beside_a_picture_in_this_folder(tree, done, tmp_path, monkeypatch):
    """A path without a folder: ../depth lies above the working folder."""
    save(tmp_path / "w.npz", varied("color-d"))
    for folder, kind in (("images", "images"), ("depth", "depth")):
        (tmp_path / folder).mkdir()
        Image.fromarray(tree[1]["5003"][kind]).save(tmp_path / folder / "a.png")
    monkeypatch.chdir(tmp_path / "images")
    done("segment", "a.png", "--weights", tmp_path / "w.npz", "--out", tmp_path / "out")
    expected = of_first_head(varied("color-d")(by_hand(tree[1]["5003"], "color-d")))
    np.testing.assert_array_equal(ids(tmp_path / "out/a_labels.png"), expected)
