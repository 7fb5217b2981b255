"""The statistics tell right from wrong preprocessing, on networks trained here, with labels and without."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from fcn_from_scratch import datasets, models
from fcn_from_scratch.lab import doctor
from fcn_from_scratch.lab.doctor.network import other_scales
from fcn_from_scratch.lab.doctor.preprocessing import SANE_SPREAD, describe, others, reading, reversed_order

BGR01 = datasets.Preprocess((0, 0, 0), scale=1 / 255)


def without_labels(samples):
    return [(image, None) for image, _ in samples]


def case_with(net, samples, transform):
    """A stand-in for a Case, whose network prepares its pictures with `transform`."""

    class Wrapped:
        name, options, children, params = net.name, net.options, net.children, net.params
        __call__ = staticmethod(net)

    wrapped = Wrapped()
    wrapped.transform = transform
    return SimpleNamespace(model=wrapped, weights="w.npz", report=None, told=None, pictures=samples, channels=3)


def found(case, name="preprocessing"):
    (check,) = [check for check in doctor.CHECKS if check.name == name]
    return check.findings(case)


class TestReading:
    def test_by_hand(self):
        """Two classes and two pixels: their scores are (3, 1) and (0, 2)."""
        scores = np.array([[3.0, 0.0], [1.0, 2.0]]).reshape(1, 2, 1, 2)
        image, labels = np.zeros((1, 2, 3), np.uint8), np.array([[0, 255]], np.uint8)
        value = reading(lambda x: scores, datasets.CAFFE, [(image, labels)])
        # minus the mean over the classes: (1, -1) and (-1, 1). So each class's deviation over the pixels is 1
        assert value.spread == pytest.approx(1)
        p = 1 / (1 + np.exp(-2))
        assert value.entropy == pytest.approx(-p * np.log(p) - (1 - p) * np.log(1 - p))
        assert value.loss == pytest.approx(-np.log(p))

    def test_a_constant_added_to_all_classes_does_not_matter(self, rng):
        scores = rng.normal(size=(1, 4, 5, 6))
        image = np.zeros((5, 6, 3), np.uint8)
        plain, raised = (
            reading(lambda x, s=s: s, datasets.CAFFE, [(image, None)])
            for s in (scores, scores + rng.normal(size=(1, 1, 5, 6)))
        )
        assert raised.spread == pytest.approx(plain.spread)
        assert raised.entropy == pytest.approx(plain.entropy)
        assert plain.loss is None


class TestTheStatisticsSeparate:
    def test_scale(self, trained):
        net, samples = trained
        own = reading(net, net.transform, samples)
        too_small = reading(net, BGR01, samples)
        too_large = reading(net, datasets.CAFFE, samples)
        assert own.sane
        assert too_small.spread < SANE_SPREAD[0] / 1.5
        assert too_large.spread > SANE_SPREAD[1] * 3

    def test_order(self, trained):
        net, samples = trained
        own = reading(net, net.transform, samples)
        swapped = reading(net, reversed_order(net.transform), samples)
        assert swapped.entropy > 1.3 * own.entropy
        assert swapped.loss > 2 * own.loss

    def test_at_once(self, trained):
        """With at-once's factors the skips shrink to a hundredth and less, and an FCN-8s loses their details."""
        net, samples = trained
        own = reading(net, net.transform, samples)
        with other_scales(net):
            assert [net.children[f"score_{pool}"].scale for pool in ("pool4", "pool3")] == [0.01, 0.0001]
            theirs = reading(net, net.transform, samples)
        assert theirs.loss > 1.5 * own.loss
        assert [net.children[f"score_{pool}"].scale for pool in ("pool4", "pool3")] == [1, 1]


class TestFindings:
    WRONG = pytest.mark.parametrize(
        "wrong", ["red and blue", "0..1", "0..255", "torchvision"], ids=lambda name: name.replace(" ", "_")
    )

    def wrong_transform(self, net, wrong):
        return {
            "red and blue": reversed_order(net.transform),
            "0..1": BGR01,
            "0..255": datasets.CAFFE,
            "torchvision": datasets.TORCHVISION,
        }[wrong]

    def test_right(self, trained):
        net, samples = trained
        for pictures in (samples, without_labels(samples)):
            (finding,) = found(case_with(net, pictures, net.transform))
            assert finding.level == "ok", finding

    @WRONG
    def test_labels_decide(self, trained, wrong):
        net, samples = trained
        (finding,) = found(case_with(net, samples, self.wrong_transform(net, wrong)))
        assert finding.level == "serious"
        assert finding.remedy

    @WRONG
    def test_suspected_without_labels(self, trained, wrong):
        net, samples = trained
        (finding,) = found(case_with(net, without_labels(samples), self.wrong_transform(net, wrong)))
        assert finding.level == "warning"
        assert ("nats from pixel to pixel" in finding.text) is (wrong in ("0..1", "0..255"))
        assert ("more certain with red and blue swapped" in finding.text) is (wrong in ("red and blue", "torchvision"))

    def test_colour_that_does_not_matter(self, trained):
        """A limit: weights that treat red and blue alike raise no suspicion with either order."""
        net, samples = trained
        blind = models.build(net.name, net.options["num_classes"], width=8)
        blind.load_state_dict(net.state_dict())
        weight = blind.params["conv1_1.weight"]
        weight[:] = (weight + weight[:, ::-1]) / 2
        mean = (110.0, 116.0, 110.0)  # equal means: otherwise a swap still shifts the values
        transform = replace(net.transform, mean=mean)
        own, swapped = (reading(blind.eval(), t, samples) for t in (transform, reversed_order(transform)))
        assert own.entropy == pytest.approx(swapped.entropy, rel=1e-4)

    def test_an_untrained_network(self, trained):
        """The scores are near zero for every picture, so there is neither a verdict nor a suspicion."""
        net, samples = trained
        faint = models.build(net.name, net.options["num_classes"], width=8)
        faint.params["score_fr.weight"][...] = 1e-4 * np.random.default_rng(0).normal(size=(6, 64, 1, 1))
        (finding,) = found(case_with(faint.eval(), without_labels(samples), net.transform))
        assert (finding.level, "is the network trained?" in finding.text) == ("note", True)

    def test_nothing_without_weights_or_pictures(self, trained):
        net, samples = trained
        for absent in ("weights", "pictures"):
            case = case_with(net, samples, net.transform)
            setattr(case, absent, None)
            assert found(case) is None


class TestTransforms:
    def test_reversed_order_is_the_reversed_picture(self):
        image = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.uint8)
        for transform in (datasets.CAFFE, datasets.TORCHVISION):
            x, swapped = transform(image), reversed_order(transform)(image)
            np.testing.assert_array_equal(swapped, x[::-1])
            assert reversed_order(reversed_order(transform)) == transform

    def test_others_are_other(self):
        for transform in (datasets.CAFFE, datasets.TORCHVISION):
            assert transform not in others(transform).values()

    def test_words(self):
        assert describe(datasets.CAFFE) == "BGR, 0..255, minus the mean"
        assert describe(datasets.TORCHVISION) == "RGB, 0..1, minus the mean, divided by the deviation"
        assert describe(BGR01) == "BGR, 0..1, no mean"


class TestAtOnce:
    def test_labels_decide(self, trained):
        net, samples = trained
        (finding,) = found(case_with(net, samples, net.transform), "at_once")
        assert finding.level == "ok"
        with other_scales(net):
            (finding,) = found(case_with(net, samples, net.transform), "at_once")
        assert finding.level == "serious"

    def test_without_labels_only_a_wrong_one_shows(self, trained):
        net, samples = trained
        (finding,) = found(case_with(net, without_labels(samples), net.transform), "at_once")
        assert finding.level == "note"
        with other_scales(net):
            (finding,) = found(case_with(net, without_labels(samples), net.transform), "at_once")
        assert finding.level == "warning"

    def test_the_file_may_tell(self, trained):
        net, samples = trained
        case = case_with(net, samples, net.transform)
        case.told = "mini_fcn8s"
        (finding,) = found(case, "at_once")
        assert (finding.level, "mini_fcn8s" in finding.text) == ("ok", True)
