"""The preprocessing that weights expect: how it is found out, and how it is folded into the first layer."""

import hashlib
import json

import numpy as np
import pytest
import weight_files as files
from arrays import refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import models, ops, weights
from fcn_from_scratch.datasets import CAFFE, TORCHVISION, Preprocess
from fcn_from_scratch.weights import known_files, preprocessing


@pytest.fixture
def net():
    return models.build("mini_fcn8s", 3, width=2)


@pytest.fixture
def arrays(net):
    rng = np.random.default_rng(3)
    return {name: rng.standard_normal(w.shape).astype(np.float32) for name, w in net.params.items()}


@pytest.fixture
def write(tmp_path):
    def write(content, name="w.pth"):
        if isinstance(content, dict):
            np.savez(tmp_path / "w.npz", **content)
            return tmp_path / "w.npz"
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


class TestHowItIsKnown:
    def test_caffes_formats(self, net, arrays, write):
        for content, name in [(files.caffemodel(arrays), "w.caffemodel"), (files.chainer_names(arrays), "")]:
            net.transform = TORCHVISION
            report = weights.load(net, write(content, name))
            assert net.transform == CAFFE
            assert any("BGR, 0..255, minus (104.007, 116.669, 122.679)" in note for note in report.notes)

    def test_another_data_sets_mean_is_kept(self, net, arrays, write):
        net.transform = Preprocess(mean=(114.578, 115.294, 108.353))
        weights.load(net, write(files.caffemodel(arrays), "w.caffemodel"))
        assert net.transform.mean == (114.578, 115.294, 108.353)

    @pytest.mark.parametrize("asked", [None, "caffe", "torchvision"])
    def test_where_nothing_tells_the_models_own_is_kept(self, net, arrays, write, asked):
        own = net.transform
        report = weights.load(net, write(arrays), preprocessing=asked)
        assert net.transform == {None: own, "caffe": CAFFE, "torchvision": TORCHVISION}[asked]
        assert len(report.notes) == 2  # the other one: at-once or not stays open
        assert any("the file does not say" in note for note in report.notes) == (asked is None)

    def test_a_checkpoint_says_it(self, net, arrays, write):
        settings = Preprocess((1, 2, 3), "RGB", 0.5, (4, 5, 6))
        meta = json.dumps({"extra": {"transform": settings.as_dict()}, "model": "mini_fcn8s"}).encode()
        content = {f"model/{name}": array for name, array in arrays.items()}
        weights.load(net, write(content | {"meta": np.frombuffer(meta, np.uint8)}))
        assert net.transform == settings

    def test_another_word(self, net, arrays, write):
        with refuses("preprocessing must be one of caffe, torchvision", "'keras'"):
            weights.load(net, write(arrays), preprocessing="keras")


class TestMd5:
    @pytest.fixture
    def publish(self, monkeypatch, write):
        """A function that enters a file into the table of published ones."""

        def publish(content, model, kind="caffe"):
            path = write(content)
            entry = known_files.Published("the very file", model, kind)
            monkeypatch.setitem(known_files.PUBLISHED, hashlib.md5(path.read_bytes()).hexdigest(), entry)
            return path

        return publish

    def test_settles_the_preprocessing(self, publish):
        """vgg16_from_caffe.pth: Caffe's values under torchvision's names."""
        net = models.build("fcn32s", 3, width=1)
        net.transform = TORCHVISION
        path = publish(files.torch_zip(files.state_dict({"features.0.weight": net.params["conv1_1.weight"]})), None)
        report = weights.load(net, path)
        assert net.transform == CAFFE
        assert report.notes[0].endswith("its md5 is that of the very file")

    @pytest.mark.parametrize("at_once", [False, True])
    def test_settles_at_once(self, publish, arrays, at_once):
        path = publish(files.torch_zip(files.state_dict(arrays)), "fcn8s_atonce" if at_once else "fcn8s")
        right, wrong = ("mini_fcn8s_atonce", "mini_fcn8s")[:: 1 if at_once else -1]
        report = weights.load(models.build(right, 3, width=2), path)
        assert not any("do not tell" in note for note in report.notes)
        with refuses("w.pth", "Build the model", "_atonce"):
            weights.load(models.build(wrong, 3, width=2), path)

    def test_the_table(self):
        """Ten files, five networks each as PyTorch's and as Chainer's, all trained by Caffe."""
        assert len(known_files.PUBLISHED) == 10
        found = sorted(entry.model or "" for entry in known_files.PUBLISHED.values())
        assert found == sorted(["", "fcn32s", "fcn16s", "fcn8s", "fcn8s_atonce"] * 2)
        assert {entry.preprocessing for entry in known_files.PUBLISHED.values()} == {"caffe"}
        assert known_files.PUBLISHED["de93e540ec79512f8770033849c8ae89"].model == "fcn8s"
        assert known_files.PUBLISHED["5f3ffdc7fae1066606e1ef45cfda548f"].model == "fcn8s_atonce"
        assert all(len(md5) == 32 and set(md5) <= set("0123456789abcdef") for md5 in known_files.PUBLISHED)


SCALES = {"scale_pool4.weight": 0.01, "scale_pool3.weight": 0.0001}


class TestAtOnce:
    """FCN-8s and FCN-8s at-once have the same names; one in the other's place gives nonsense without an error."""

    def caffe(self, arrays, scales=SCALES):
        channels = {"scale_pool4.weight": 12, "scale_pool3.weight": 8}
        return files.caffemodel(arrays | {n: np.full(channels[n], s, np.float32) for n, s in scales.items()})

    def test_caffes_scales_decide(self, net, arrays, write):
        with refuses("w.caffemodel is of an at-once network", "mini_fcn8s does not", "with _atonce"):
            weights.load(net, write(self.caffe(arrays), "w.caffemodel"))
        at_once = models.build("mini_fcn8s_atonce", 3, width=2)
        report = weights.load(at_once, write(self.caffe(arrays), "w.caffemodel"))
        assert sorted(report.fixed) == sorted(SCALES)
        with refuses("w.caffemodel is of a network that does not scale", "mini_fcn8s_atonce does", "without _atonce"):
            weights.load(at_once, write(self.caffe(arrays, {}), "w.caffemodel"))

    @pytest.mark.parametrize("scales", [{"scale_pool4.weight": 0.02}, {"scale_pool3.weight": 0.01}])
    def test_other_scales_are_refused(self, arrays, write, scales):
        at_once = models.build("mini_fcn8s_atonce", 3, width=2)
        name, scale = next(iter(scales.items()))
        with refuses("w.caffemodel", f"{name} is {scale:g} where mini_fcn8s_atonce has {SCALES[name]:g}"):
            weights.load(at_once, write(self.caffe(arrays, SCALES | scales), "w.caffemodel"))

    @pytest.mark.parametrize(("arch", "right"), [("FCN8s", "mini_fcn8s"), ("FCN8sAtOnce", "mini_fcn8s_atonce")])
    def test_a_trainer_notes_it(self, arrays, write, arch, right):
        path = write(files.torch_zip({"arch": arch, "model_state_dict": files.state_dict(arrays)}))
        assert not weights.load(models.build(right, 3, width=2), path).missing
        wrong = {"mini_fcn8s": "mini_fcn8s_atonce"}.get(right, "mini_fcn8s")
        with refuses("w.pth is of"):
            weights.load(models.build(wrong, 3, width=2), path)

    def test_where_only_the_user_knows_the_report_says_so(self, arrays, write):
        path = write(files.torch_zip(files.state_dict(arrays)))
        for name in ("mini_fcn8s", "mini_fcn8s_atonce"):
            report = weights.load(models.build(name, 3, width=2), path)
            assert report.notes[0].endswith(f"it is taken for {name}, as asked for")

    def test_a_32s_has_nothing_to_confuse(self, write):
        net = models.build("mini_fcn32s", 3, width=2)
        path = write(files.torch_zip(files.state_dict(net.params)))
        for name in ("mini_fcn8s", "mini_fcn8s_atonce"):
            (note,) = weights.load(models.build(name, 3, width=2), path).notes
            assert note.startswith("preprocessing")


class TestFold:
    @given(
        st.sampled_from(["RGB", "BGR"]),
        st.floats(1 / 255, 2),
        st.lists(st.floats(0.1, 60), min_size=3, max_size=3) | st.none(),
        st.integers(0, 5),
        st.integers(1, 2),
        st.integers(0, 99),
    )
    def test_the_same_numbers_borders_included(self, order, scale, std, padding, stride, seed):
        rng = np.random.default_rng(seed)
        transform = Preprocess(tuple(rng.uniform(0, 255, 3) * scale), order, scale, std)
        image = rng.integers(256, size=(9, 7, 3), dtype=np.uint8)
        weight, bias = rng.standard_normal((4, 3, 3, 2)), rng.standard_normal(4)
        expected = ops.conv2d(transform(image)[None].astype(float), weight, bias, stride, padding)
        folded, plain = preprocessing.fold(weight, transform)
        assert (plain.order, plain.scale, plain.std) == ("BGR", 1.0, None)
        found = ops.conv2d(plain(image)[None].astype(float), folded, bias, stride, padding)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))

    def test_torchvisions_by_hand(self):
        """W_bgr[:, c] = W_rgb[:, 2 - c] / (255 std_rgb[2 - c]); the mean is 255 times theirs, and not Caffe's."""
        weight = np.ones((1, 3, 1, 1))
        folded, plain = preprocessing.fold(weight, TORCHVISION)
        np.testing.assert_allclose(folded[0, :, 0, 0], [1 / (255 * 0.225), 1 / (255 * 0.224), 1 / (255 * 0.229)])
        np.testing.assert_allclose(plain.mean, (103.53, 116.28, 123.675))

    def test_into_a_model(self, rng, write):
        """The whole network, pad 100 and all, gives the scores it gave."""
        net = models.build("fcn8s", 3, width=1, seed=0)
        arrays = {name: rng.standard_normal(w.shape).astype(np.float32) / 4 for name, w in net.params.items()}
        path = write(files.torch_zip(files.state_dict(arrays)))
        image = rng.integers(256, size=(33, 20, 3), dtype=np.uint8)
        weights.load(net, path, preprocessing="torchvision")
        expected = net.eval().forward(net.transform(image)[None])
        report = weights.load(net, path, preprocessing="torchvision", fold=True)
        assert "BGR, 0..255, minus (103.53, 116.28, 123.675)" in report.notes[-1]
        found = net.forward(net.transform(image)[None])
        assert np.ptp(expected) > 0.1
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        assert not np.array_equal(net.params["conv1_1.weight"], arrays["conv1_1.weight"])

    def test_of_other_channels(self, write):
        net = models.build("fcn32s", 3, width=1, in_channels=4)
        with refuses("three channels", "(1, 4, 3, 3)"):
            weights.load(net, write(dict(net.params)), preprocessing="torchvision", fold=True)
