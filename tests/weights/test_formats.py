"""Every format of weights: the arrays written into a file are read from it, and they make the same network."""

import tracemalloc

import numpy as np
import pytest
import weight_files as files
from arrays import refuses, torch_module

from fcn_from_scratch import models, weights
from fcn_from_scratch.weights import formats


@pytest.fixture
def write(tmp_path):
    """A function that writes bytes, or arrays as .npz, and returns the path."""

    def write(content, name):
        path = tmp_path / name
        if isinstance(content, dict):
            np.savez(path, **content)
            return path if path.suffix == ".npz" else path.with_name(path.name + ".npz").rename(path)
        path.write_bytes(content)
        return path

    return write


# name of the file: (how it is written, the format it is recognised as)
WRITERS = {
    "new.caffemodel": (files.caffemodel, formats.CAFFE),
    "v1.caffemodel": (lambda arrays: files.caffemodel(arrays, "v1"), formats.CAFFE),
    "v0.caffemodel": (lambda arrays: files.caffemodel(arrays, "v0"), formats.CAFFE),
    "unpacked.caffemodel": (lambda arrays: files.caffemodel(arrays, packed=False), formats.CAFFE),
    "double.caffemodel": (lambda arrays: files.caffemodel(arrays, "v1", double=True), formats.CAFFE),
    "zip.pth": (lambda arrays: files.torch_zip(files.state_dict(arrays)), formats.PYTORCH),
    "stream.pth": (lambda arrays: files.torch_stream(files.state_dict(arrays)), formats.PYTORCH),
    "trainer.pth.tar": (
        lambda arrays: files.torch_stream({"arch": "other", "epoch": 3, "model_state_dict": files.state_dict(arrays)}),
        formats.PYTORCH,
    ),
    "parallel.pth": (
        lambda arrays: files.torch_zip(files.state_dict({f"module.{name}": a for name, a in arrays.items()})),
        formats.PYTORCH,
    ),
    "chainer.npz": (files.chainer_names, formats.CHAINER),
    "plain.npz": (dict, formats.NUMPY),
    "any.safetensors": (files.safetensors, formats.SAFETENSORS),
}


def varied(model, seed=7):
    """Other weights than a model starts with, under its names; score layers that are not zero."""
    rng = np.random.default_rng(seed)
    return {
        name: (rng.standard_normal(w.shape) * np.sqrt(2 / max(w[0].size, 1))).astype(np.float32)
        for name, w in model.params.items()
    }


@pytest.mark.parametrize("name", WRITERS)
class TestEveryFormat:
    def test_values_and_shapes(self, write, name, rng):
        arrays = {
            "conv1_1.weight": rng.standard_normal((4, 3, 3, 2)).astype(np.float32),
            "conv1_1.bias": rng.standard_normal(4).astype(np.float32),
            "score_fr.weight": rng.standard_normal((1, 4, 1, 1)).astype(np.float32),  # its one is no leading one
            "score_fr.bias": rng.standard_normal(1).astype(np.float32),
            "fc6.weight": rng.standard_normal((5, 24)).astype(np.float32),
            "fc6.bias": rng.standard_normal(5).astype(np.float32),
            "fc8.weight": rng.standard_normal((1, 5)).astype(np.float32),
        }
        writer, _ = WRITERS[name]
        read = weights.read(write(writer(arrays), name))
        assert [key.removeprefix("module.") for key in read] == list(arrays)
        for key, array in zip(arrays, read.values()):
            assert array.shape == arrays[key].shape, key
            np.testing.assert_array_equal(array, arrays[key], key)

    def test_the_content_decides_and_not_the_extension(self, write, name):
        writer, kind = WRITERS[name]
        content = writer({"a.weight": np.ones((2, 3), np.float32), "a.bias": np.ones(2, np.float32)})
        for other in (name, "w.bin", "w.caffemodel", "w.safetensors", "w.pth", "weights"):
            assert weights.read_file(write(content, other)).format == kind, other

    @pytest.mark.parametrize(("model", "options"), [("mini_fcn8s", {"width": 3}), ("fcn8s", {"width": 1, "pad": 100})])
    def test_the_same_network_comes_out_of_it(self, write, name, model, options, rng):
        """Also fc6 and fc7 as fully connected layers, and the kernels of the fixed upsampling."""
        net = models.build(model, 5, seed=1, **options)
        arrays = varied(net)
        x = rng.standard_normal((1, 3, 41, 33)).astype(np.float32)
        net.load_state_dict(arrays)
        expected = net.eval().forward(x)
        assert np.ptp(expected) > 1e-3
        flat = dict(arrays)
        for fc in ("fc6.weight", "fc7.weight"):
            flat[fc] = arrays[fc].reshape(len(arrays[fc]), -1)
        flat |= bilinear_kernels(net)
        other = models.build(model, 5, seed=2, **options)
        report = weights.load(other, write(WRITERS[name][0](flat), name))
        assert (set(report.used), report.missing, report.unused) == (set(arrays), [], [])
        assert report.fixed == ["upscore2.weight", "upscore_pool4.weight", "upscore8.weight"]
        np.testing.assert_array_equal(other.eval().forward(x), expected)

    def test_memory(self, write, name):
        """The arrays, and not much beside them: nothing is held twice."""
        arrays = {f"conv{n}.weight": np.full((64, 1024, 4, 4), n, np.float32) for n in range(3)}  # 4 MB each
        total = 3 * arrays["conv0.weight"].nbytes
        if name == "unpacked.caffemodel":
            arrays = {"conv0.weight": arrays["conv0.weight"][:8]}
            total = arrays["conv0.weight"].nbytes
        path = write(WRITERS[name][0](arrays), name)
        tracemalloc.start()
        weights.read(path)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        wide = 2 if name == "double.caffemodel" else 1
        assert total * wide <= most < total * wide * 1.25 + (6 << 20)


def bilinear_kernels(net):
    """The dense blocks that public files hold for layers that are fixed here, from their definition."""
    found = {}
    for name, layer in net.children.items():
        if name.startswith("upscore"):
            size, classes = layer.kernel_size[0], net.num_classes
            factor = (size + 1) // 2
            line = 1 - np.abs(np.arange(size) - (factor - 1 if size % 2 else factor - 0.5)) / factor
            found[f"{name}.weight"] = np.zeros((classes, classes, size, size), np.float32)
            for c in range(classes):
                found[f"{name}.weight"][c, c] = np.outer(line, line)
    return found


class TestNumbers:
    """Dtypes by hand; PyTorch's own are below."""

    BFLOAT16 = np.array([0x3FC0, 0xC000, 0x7F80, 0x0001], np.uint16)  # 1.5, -2, infinity, the smallest
    AS_FLOAT32 = np.float32([1.5, -2, np.inf, 2.0**-133])

    def test_safetensors(self, write):
        arrays = {
            "half": np.float16([1.5, -2]),
            "double": np.float64([[1 / 3]]),
            "long": np.array([-(2**40), 7]),
            "int": np.int32([-5]),
            "byte": np.uint8([[[250, 3]]]),
            "bool": np.array([True, False]),
            "scalar": np.array(2.5),
            "empty": np.zeros((3, 0)),
        }
        read = weights.read(write(files.safetensors(arrays, {"format": "pt"}), "w.safetensors"))
        assert list(read) == list(arrays)
        for name, array in arrays.items():
            assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape), name
            np.testing.assert_array_equal(read[name], array, name)

    def test_bfloat16(self, write):
        header = {"w": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}
        placeholder = np.zeros(1)  # whose eight bytes are replaced
        content = files.safetensors({"x": placeholder}, header=header)[:-8] + self.BFLOAT16.tobytes()
        stored = files.Tensor(files.Row(self.BFLOAT16.view(np.int16), "BFloat16Storage"), (2, 2), (1, 2))
        for name, data, expected in [
            ("w.safetensors", content, self.AS_FLOAT32.reshape(2, 2)),
            ("w.pth", files.torch_zip({"w": stored}), self.AS_FLOAT32.reshape(2, 2).T),
        ]:
            read = weights.read(write(data, name))["w"]
            assert read.dtype == np.float32
            np.testing.assert_array_equal(read, expected)


class TestFixedUpsampling:
    @pytest.fixture
    def net(self):
        return models.build("mini_fcn16s", 3, width=2)

    def test_a_learned_kernel_is_not_thrown_away(self, net, write):
        arrays = varied(net) | bilinear_kernels(net)
        arrays["upscore2.weight"][1, 2, 0, 3] = 0.01
        before = {name: w.copy() for name, w in net.params.items()}
        with refuses("k.pth", "upscore2.weight is not the bilinear kernel", "upsampling='learned'"):
            weights.load(net, write(files.torch_zip(files.state_dict(arrays)), "k.pth"))
        for name, w in net.params.items():
            np.testing.assert_array_equal(w, before[name])

    def test_a_learned_layer_takes_it(self, write):
        net = models.build("mini_fcn16s", 3, width=2, upsampling="all_learned")
        arrays = varied(net)
        report = weights.load(net, write(files.torch_zip(files.state_dict(arrays)), "k.pth"))
        assert {"upscore2.weight", "upscore16.weight"} <= set(report.used)
        np.testing.assert_array_equal(net.params["upscore16.weight"], arrays["upscore16.weight"])


class TestOtherFiles:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
            (b"\x1f\x8b\x08" + bytes(40), "gzip"),
            (b"\xff\xd8\xff\xe0" + bytes(40), "picture"),
            (b"<!DOCTYPE html><html>", "web page"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
            (b"weights", "not a file of weights"),
            (b"", "not a file of weights"),
        ],
    )
    def test_are_named(self, write, content, reason):
        with refuses("photo", reason):
            weights.read(write(content, "photo"))

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("w.npz", "not a sound .npz archive"),
            ("w.pth", "not a sound PyTorch file"),
            ("w.pt", "not a sound PyTorch file"),
            ("w.safetensors", "not a sound .safetensors file"),
            ("w.caffemodel", "not a sound .caffemodel"),
        ],
    )
    @pytest.mark.parametrize("content", [b"", b"weights", b"w" * 1000])
    def test_the_extension_decides_who_complains(self, write, name, reason, content):
        with refuses(name, reason):
            weights.read(write(content, name))


@pytest.mark.torch
class TestWhatPyTorchWrites:
    @pytest.fixture(params=[True, False], ids=["zip", "stream"])
    def saved(self, request, tmp_path):
        torch = torch_module()

        def saved(content):
            torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=request.param)
            return tmp_path / "w.pth"

        return saved

    def test_every_dtype_and_layout(self, saved):
        torch = torch_module()
        base = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5)
        tensors = {
            "transposed": base.permute(2, 0, 1),
            "window": base[1:, 1:3, ::2],  # shares the storage of the first
            "row": base[2, 3],
            "expanded_once": base[:1, :1, :1],
            "scalar": torch.tensor(2.5),
            "empty": torch.zeros(3, 0),
            "double": torch.randn(3, 2, dtype=torch.float64),
            "half": torch.randn(4).half(),
            "long": torch.tensor([[2**40, -1]]),
            "int": torch.tensor([-3], dtype=torch.int32),
            "short": torch.tensor([-3], dtype=torch.int16),
            "char": torch.tensor([-3], dtype=torch.int8),
            "byte": torch.tensor([200], dtype=torch.uint8),
            "bool": torch.tensor([True, False, True]),
            "parameter": torch.nn.Parameter(torch.randn(2, 3)),
        }
        read = weights.read(saved(tensors))
        assert list(read) == list(tensors)
        for name, tensor in tensors.items():
            expected = tensor.detach().numpy()
            assert (read[name].dtype, read[name].shape) == (expected.dtype, expected.shape), name
            np.testing.assert_array_equal(read[name], expected, name)

    def test_bfloat16_becomes_float32(self, saved):
        torch = torch_module()
        tensor = torch.randn(3, 5).bfloat16()
        read = weights.read(saved({"w": tensor.T}))["w"]
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, tensor.T.float().numpy())

    def test_a_trainers_file(self, saved):
        """As pytorch-fcn's trainer writes it: with the optimiser's state, and a score that is NumPy's."""
        torch = torch_module()
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        optimizer = torch.optim.SGD(module.parameters(), lr=1e-10, momentum=0.99)
        module(torch.randn(2, 3, 5, 5)).sum().backward()
        optimizer.step()
        content = {
            "epoch": 3,
            "iteration": 12000,
            "arch": "FCN8s",
            "optim_state_dict": optimizer.state_dict(),
            "model_state_dict": module.state_dict(),
            "best_mean_iu": np.float64(0.6551),
        }
        found = weights.read_file(saved(content))
        assert found.meta == {"epoch": 3, "iteration": 12000, "arch": "FCN8s", "best_mean_iu": 0.6551}
        assert list(found.arrays) == list(module.state_dict())
        for name, tensor in module.state_dict().items():
            np.testing.assert_array_equal(found.arrays[name], tensor.numpy())

    def test_a_whole_model_is_refused_by_name(self, saved):
        torch = torch_module()
        with refuses("w.pth", "torch.nn.modules.", "nothing was run"):
            weights.read(saved(torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1))))

    def test_hand_made_files_are_pytorchs(self, tmp_path, rng):
        """The other way round: what the tests write is what PyTorch reads."""
        torch = torch_module()
        arrays = {"a.weight": rng.standard_normal((2, 3)).astype(np.float32), "n": rng.integers(9, size=4)}
        for number, write in enumerate((files.torch_zip, files.torch_stream)):
            path = tmp_path / f"{number}.pth"
            path.write_bytes(write(files.state_dict(arrays)))
            read = torch.load(path, weights_only=True)
            assert list(read) == list(arrays)
            for name in arrays:
                np.testing.assert_array_equal(read[name].numpy(), arrays[name])
