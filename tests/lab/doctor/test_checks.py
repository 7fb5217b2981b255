"""Each check on a sound case, and on a case with the mistake that it looks for."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fcn_from_scratch import datasets, geometry, models
from fcn_from_scratch.engine import threads, workspace
from fcn_from_scratch.lab import doctor, memory
from fcn_from_scratch.lab.doctor import Case, Finding
from fcn_from_scratch.lab.doctor.registry import Check
from fcn_from_scratch.lab.doctor.size import needed


def look(name, case):
    """The findings of one check; None when it does not apply."""
    (check,) = [check for check in doctor.CHECKS if check.name == name]
    return check.findings(case)


def levels(name, case):
    return [finding.level for finding in look(name, case)]


def report(missing=(), used=("a.weight",)):
    return SimpleNamespace(missing=list(missing), used=list(used))


def net(name="mini_fcn8s", classes=4, **options):
    return models.build(name, classes, width=2, **options).eval()


def varied(name="mini_fcn8s", classes=4):
    """A network whose score layers are not zero, so that its scores differ from pixel to pixel."""
    model, rng = net(name, classes), np.random.default_rng(0)
    for key, array in model.params.items():
        if key.startswith("score"):
            array[...] = rng.normal(size=array.shape)
    return model


def folder(root, labels):
    """A dataset folder with these label maps and random pictures."""
    for place in ("images", "labels"):
        (root / place).mkdir(parents=True)
    for number, ids in enumerate(labels):
        ids = np.asarray(ids, np.uint8)
        picture = np.random.default_rng(number).integers(0, 256, (*ids.shape, 3)).astype(np.uint8)
        Image.fromarray(picture).save(root / "images" / f"{number}.png")
        Image.fromarray(ids).save(root / "labels" / f"{number}.png")
    return root


STRIPES = np.repeat(np.arange(3, dtype=np.uint8), 12)[:, None].repeat(40, 1)  # ids 0, 1, 2; (36, 40)


class TestRegistry:
    def test_all_are_documented(self):
        names = [check.name for check in doctor.CHECKS]
        assert len(names) == len(set(names)) >= 18
        for check in doctor.CHECKS:
            assert check.question.rstrip(".").count("?") >= 1, check.name
            assert check.remedy or check.name == "gpu"

    def test_what_is_needed(self):
        """A check does not run when the case lacks what it needs. It does not count as passed."""
        asked = [check.name for check, _ in doctor.examine(Case())]
        assert set(asked) == {check.name for check in doctor.CHECKS if not check.needs}
        assert "learning_rate" not in asked
        assert "learning_rate" in [c.name for c, _ in doctor.examine(Case(lr=1e-3, reduction="mean"))]

    def test_only(self):
        assert [check.name for check, _ in doctor.examine(Case(), only=["versions"])] == ["versions"]

    def test_the_checks_remedy_is_the_default(self):
        check = Check("x", "?", "usual", (), lambda case: [Finding("warning", "a"), Finding("serious", "b", "own")])
        assert [finding.remedy for finding in check.findings(Case())] == ["usual", "own"]

    def test_good_news_has_no_remedy(self):
        check = Check("x", "?", "usual", (), lambda case: [Finding("ok", "a"), Finding("note", "b")])
        assert [finding.remedy for finding in check.findings(Case())] == ["", ""]


class TestEnvironment:
    def test_this_machine(self):
        for name in ("versions", "arithmetic", "picture_formats"):
            assert levels(name, Case()) == ["ok"], name

    def test_wrong_arithmetic(self, monkeypatch):
        from fcn_from_scratch import ops

        right = ops.conv2d_backward
        monkeypatch.setattr(ops, "conv2d_backward", lambda dy, *args, **kwargs: right(dy[:, :, ::-1], *args, **kwargs))
        (finding,) = look("arithmetic", Case())
        assert finding.level == "serious"
        assert "reinstall NumPy" in finding.remedy

    def test_old_numpy(self, monkeypatch):
        monkeypatch.setattr(np, "__version__", "1.26.4")
        assert "serious" in levels("versions", Case())

    @pytest.mark.parametrize(("cores", "workers", "level"), [(4, 4, "ok"), (4, 1, "warning"), (2, 8, "warning")])
    def test_cores(self, monkeypatch, cores, workers, level):
        monkeypatch.setattr("os.cpu_count", lambda: cores)
        monkeypatch.setattr(threads, "workers", lambda: workers)
        assert levels("cores", Case()) == [level]

    @pytest.mark.parametrize(("free", "level"), [(None, "note"), (2**30, "warning"), (2**34, "ok")])
    def test_memory(self, monkeypatch, free, level):
        monkeypatch.setattr(memory, "available", lambda: free)
        assert levels("free_memory", Case()) == [level]

    def test_no_cupy(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "cupy", None)
        assert levels("gpu", Case()) == ["note"]

    def test_cupy_without_a_gpu(self, monkeypatch):
        cupy = SimpleNamespace(__version__="14.2", cuda=SimpleNamespace(is_available=lambda: False))
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        (finding,) = look("gpu", Case())
        assert (finding.level, "no NVIDIA GPU" in finding.text) == ("note", True)

    def test_pillow_without_jpeg(self, monkeypatch):
        monkeypatch.setattr("PIL.features.check", lambda codec: codec != "jpg")
        (finding,) = look("picture_formats", Case())
        assert (finding.level, "JPEG" in finding.text) == ("serious", True)


class TestLabels:
    def audit(self, root, labels, classes=3):
        dataset = datasets.build("folder", folder(root, labels), "all", classes)
        return look("label_audit", Case(dataset=dataset))

    def test_sound(self, tmp_path):
        (finding,) = self.audit(tmp_path / "d", [STRIPES, STRIPES[::-1]])
        assert finding.level == "ok"
        assert "2 of 2" in finding.text

    def spoilt(self, root, number):
        """A sound dataset, of which the label maps from number 1 on get ids out of range afterwards."""
        dataset = datasets.build("folder", folder(root, [STRIPES] * (number + 1)), "all", 3)
        for index in range(1, number + 1):
            Image.fromarray(np.where(STRIPES == 2, 9, STRIPES)).save(root / "labels" / f"{index}.png")
        return look("label_audit", Case(dataset=dataset))

    def test_out_of_range(self, tmp_path):
        findings = self.spoilt(tmp_path / "d", 1)
        assert findings[0].level == "serious"
        assert "1.png contain the id 9" in findings[0].text
        assert "--num-classes" in findings[0].remedy

    @pytest.mark.filterwarnings("ignore:.*is ignored, and no id from 1:UserWarning")
    def test_masks_of_0_and_255(self, tmp_path):
        findings = self.audit(tmp_path / "d", [np.where(STRIPES > 0, 255, 0)], 2)
        (serious,) = [finding for finding in findings if finding.level == "serious"]
        assert "save the foreground as 1" in serious.text

    def test_everything_ignored(self, tmp_path):
        findings = self.audit(tmp_path / "d", [STRIPES, np.full((8, 9), 255)])
        (finding,) = findings
        assert finding.level == "warning"
        assert "1: every pixel is ignored" in finding.text

    def test_a_palette_read_as_rgb(self, tmp_path):
        dataset = datasets.build("folder", folder(tmp_path / "d", [STRIPES] * 2), "all", 3)
        colours = datasets.voc_palette()[STRIPES]
        Image.fromarray(colours).save(tmp_path / "d" / "labels" / "1.png")
        findings = look("label_audit", Case(dataset=dataset))
        assert findings[0].level == "serious"
        assert "palette PNG converted to RGB" in findings[0].remedy

    def test_a_class_never_seen(self, tmp_path):
        (finding,) = self.audit(tmp_path / "d", [STRIPES], 4)
        assert (finding.level, "class 3" in finding.text) == ("warning", True)

    def test_many_findings_are_not_all_shown(self, tmp_path):
        findings = self.spoilt(tmp_path / "d", 7)
        assert [finding.level for finding in findings] == ["serious"] * 6
        assert "and 2 more" in findings[-1].text

    def test_balance(self, tmp_path):
        mostly = np.zeros((40, 40), np.uint8)
        mostly[0, :20] = 1
        dataset = datasets.build("folder", folder(tmp_path / "d", [mostly]), "all", 2)
        (finding,) = look("class_balance", Case(dataset=dataset))
        assert "background fills 98.8%" in finding.text
        dataset = datasets.build("folder", folder(tmp_path / "e", [STRIPES]), "all", 3)
        assert look("class_balance", Case(dataset=dataset)) == []


class TestLayers:
    def test_whole(self):
        assert levels("missing_layers", Case(model=net(), weights="w", report=report())) == ["ok"]

    @pytest.mark.parametrize(
        ("missing", "level", "word"),
        [
            (["fc6.weight", "fc6.bias", "fc7.weight"], "serious", "fc6 and fc7"),
            (["conv3_1.weight"], "serious", "conv3_1"),
            (["score_fr.weight", "score_fr.bias"], "warning", "score_fr"),
        ],
    )
    def test_missing(self, missing, level, word):
        (finding,) = look("missing_layers", Case(model=net(), weights="w", report=report(missing)))
        assert finding.level == level
        assert word in finding.text
        assert finding.remedy

    def test_zero_convolution(self):
        model = net(classes=5)
        assert look("zero_layers", Case(model=model)) == [], "score layers may be zero"
        model.params["conv2_1.weight"][...] = 0
        (finding,) = look("zero_layers", Case(model=model))
        assert finding.level == "serious"
        assert "conv2_1" in finding.text
        assert f"{math.log(5):.4f}" in finding.text

    def test_what_is_missing_is_not_said_twice(self):
        model = net()
        model.params["fc6.weight"][...] = 0
        assert look("zero_layers", Case(model=model, weights="w", report=report(["fc6.weight"]))) == []

    def test_class_count(self):
        case = Case(model=net(classes=4), dataset=datasets.Shapes(2, 32))
        (finding,) = look("class_count", case)
        assert finding.level == "serious"
        assert look("class_count", Case(model=net(classes=6), dataset=datasets.Shapes(2, 32))) == []
        assert [labels for _, labels in case.samples] == [None] * 2, "no loss is computed with ids that do not fit"


class TestOutputs:
    def test_before_training(self):
        (finding,) = look("outputs_alive", Case(model=net(classes=7)))
        assert (finding.level, f"{math.log(7):.4f}" in finding.text) == ("note", True)

    def test_dead_after_loading(self):
        assert levels("outputs_alive", Case(model=net(), weights="w")) == ["serious"]

    def test_alive(self):
        assert look("outputs_alive", Case(model=varied(), weights="w")) == []

    def test_features_that_died(self):
        """The features are all zero: only biases reach the scores."""
        model = varied()
        model.params["conv1_1.weight"][...] = 0
        model.params["conv1_1.bias"][...] = -1
        for name, array in model.params.items():
            if name.endswith("bias") and not name.startswith(("score", "conv1_1")):
                array[...] = 0
        (finding,) = look("outputs_alive", Case(model=model, weights="w"))
        assert (finding.level, "its negative" in finding.text) == ("serious", True)

    def test_one_class_everywhere(self):
        model = varied()
        model.params["score_fr.bias"][...] = [0, 0, 1e4, 0]
        (finding,) = look("outputs_alive", Case(model=model, weights="w"))
        assert (finding.level, "class 2" in finding.text) == ("warning", True)

    def test_not_a_number(self):
        model = varied()
        model.params["fc7.weight"][0, 0] = np.nan
        (finding,) = look("outputs_alive", Case(model=model, weights="w"))
        assert (finding.level, "not finite" in finding.text) == ("serious", True)

    @pytest.mark.parametrize("name", ["mini_fcn8s_two_heads", "mini_fcn32s_late_fusion"])
    def test_other_networks(self, name):
        assert levels("outputs_alive", Case(model=models.build(name, 4, width=2).eval())) == ["note"]


class TestStaging:
    SCORES = ("score_fr.weight", "score_pool4.weight", "score_pool3.weight")

    def test_from_a_classifier(self):
        (finding,) = look("staging", Case(model=net("mini_fcn8s"), weights="w", report=report(self.SCORES)))
        assert finding.level == "warning"
        assert "fcn8s_atonce" in finding.remedy

    @pytest.mark.parametrize(("name", "missing"), [("mini_fcn8s_atonce", SCORES), ("mini_fcn32s", SCORES[:1])])
    def test_where_it_is_right(self, name, missing):
        assert look("staging", Case(model=net(name), weights="w", report=report(missing))) == []

    def test_one_skip_at_a_time(self):
        case = Case(model=net("mini_fcn8s"), weights="w", report=report(["score_pool3.weight"]))
        assert look("staging", case) == []
        case = Case(model=net("mini_fcn8s"), weights="w", report=report(self.SCORES[1:]))
        assert levels("staging", case) == ["note"]


class TestSettings:
    @pytest.mark.parametrize(
        ("lr", "reduction", "level"),
        [(1e-10, "sum", "ok"), (1e-3, "mean", "ok"), (1e-4, "sum", "warning"), (1e-10, "mean", "warning")],
    )
    def test_learning_rate(self, lr, reduction, level):
        assert levels("learning_rate", Case(lr=lr, reduction=reduction)) == [level]

    def sizes(self, *sizes, batch_size=4):
        case = Case(batch_size=batch_size)
        case.sizes = list(sizes)
        return look("mixed_sizes", case)

    def test_mixed_sizes(self):
        (finding,) = self.sizes((100, 200), (200, 100))
        assert finding.level == "note"  # the pictures fill 20,000 of 40,000 pixels
        assert "50% of a batch is padding" in finding.text
        (finding,) = self.sizes((10, 200), (200, 10))
        assert finding.level == "warning"
        assert self.sizes((10, 200), (10, 200)) == []
        assert self.sizes((10, 200), (200, 10), batch_size=1) == []


class TestSize:
    def test_every_size_fits_the_mini_networks(self):
        assert levels("picture_sizes", Case(model=net(), size=(40, 50))) == ["ok"]

    def test_smaller_than_the_stride(self):
        (finding,) = look("picture_sizes", Case(model=net(), size=(40, 31)))
        assert (finding.level, "32 pixels" in finding.text) == ("warning", True)
        (finding,) = look("picture_sizes", Case(model=net("mini_fcn32s"), size=(1, 1)))
        assert finding.level == "warning"

    def test_misfit(self):
        """Without padding, fc6 needs 7x7 cells of pool5: more than 32 * 6 pixels. Geometry gives the smallest size."""
        model = net("fcn32s", fc6_padding=0, pad=97)
        assert levels("picture_sizes", Case(model=model, size=(64, 64))) == ["ok"]
        model = net("mini_fcn32s", pad=17, fc6_kernel=3, fc6_padding=0)
        smallest = next(n for n in range(1, 99) if geometry.fits(model, n))
        assert "serious" in levels("picture_sizes", Case(model=model, size=(smallest - 1, 60)))
        assert "serious" not in levels("picture_sizes", Case(model=model, size=(smallest, 60)))

    @pytest.mark.parametrize(("free", "level"), [(10**15, "ok"), (1, "serious"), (None, "note")])
    def test_memory(self, monkeypatch, free, level):
        monkeypatch.setattr(memory, "available", lambda: free)
        assert levels("memory_needed", Case(model=net(), size=(64, 64))) == [level]

    def test_enough_to_segment_only(self, monkeypatch):
        model = net()
        segment, train = needed(model, (200, 300), 8)
        assert segment < train
        monkeypatch.setattr(memory, "available", lambda: (segment + train) // 2)
        assert levels("memory_needed", Case(model=model, size=(200, 300), batch_size=8)) == ["warning"]

    def test_estimate(self, monkeypatch):
        """Where the maps need most of the memory, the estimate is within a factor of two of NumPy's allocations.

        All arrays are new: what the engine keeps from operation to operation would not be seen.
        """
        import tracemalloc

        monkeypatch.setattr(workspace, "COMMON", SimpleNamespace(empty=np.empty))
        model = models.build("mini_fcn8s", 4, width=16).eval()
        x = np.zeros((1, 3, 320, 400), np.float32)
        model(x)
        tracemalloc.start()
        model(x)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        estimate = needed(model, (320, 400))[0] - needed(net(), (1, 1))[0]
        assert 0.5 < estimate / peak < 2


class TestCase:
    def test_large_pictures_are_cut_for_the_network_not_for_their_size(self):
        scenes = datasets.Shapes(2, (300, 260))
        case = Case(model=net(classes=6), dataset=scenes)
        assert {image.shape for image, _ in case.samples} == {(224, 224, 3)}
        assert {labels.shape for _, labels in case.samples} == {(224, 224)}
        assert set(case.sizes) == {(300, 260)}

    def test_the_cut_keeps_labels_on_their_pixels(self):
        class Numbered(datasets.Dataset):
            classes = tuple(map(str, range(250)))

            def __len__(self):
                return 1

            def __getitem__(self, index):
                ids = (np.arange(240)[:, None] + np.zeros(230)).astype(np.uint8)
                return datasets.Sample(np.dstack([ids] * 3), ids, "0")

        ((image, labels),) = Case(model=net(classes=250), dataset=Numbered()).samples
        np.testing.assert_array_equal(image[:, :, 0], labels)
        assert labels[0, 0] == 8, "the middle: 240 - 224 rows, half of them above"

    def test_drawn_pictures_are_no_evidence(self):
        assert Case(model=net()).pictures is None
        assert len(Case(model=net()).samples) == 3
