"""Files of weights: .pth for PyTorch and .safetensors. Their own packages and this project's readers read them."""

import io
import json
import pickletools
import zipfile

import numpy as np
import pytest
from arrays import close, refuses, torch_module
from export_nets import all_scores, network, package, pictures

from fcn_from_scratch import __version__, datasets, models, weights
from fcn_from_scratch.lab.export import export
from fcn_from_scratch.lab.export import pickle_program as program
from fcn_from_scratch.weights.pickles import Machine

FILES = ["net.pth", "net.safetensors"]
PYTORCH_FCN = {  # model: the transposed convolutions of pytorch-fcn's class, with the side of their kernels
    "fcn32s": {"upscore": 64},
    "fcn16s": {"upscore2": 4, "upscore16": 32},
    "fcn8s": {"upscore2": 4, "upscore_pool4": 4, "upscore8": 16},
    "fcn8s_atonce": {"upscore2": 4, "upscore_pool4": 4, "upscore8": 16},
}
EXTRA = {"classes": ["sky", "road", "Häuser"], "palette": [[0, 0, 0], [128, 64, 0], [1, 2, 3]]}


@pytest.mark.parametrize("file", FILES)
class TestOurReaders:
    @pytest.mark.parametrize("name", models.NAMES)
    def test_the_same_scores(self, name, file, tmp_path, rng):
        net, other = network(name), network(name, seed=2)
        export(net, tmp_path / file)
        report = weights.load(other, tmp_path / file)
        assert (report.missing, report.unused) == ([], [])
        assert other.transform == net.transform
        x = pictures(net, 1, (96, 96), rng)
        for ours, theirs in zip(all_scores(net, x), all_scores(other, x), strict=True):
            np.testing.assert_array_equal(ours, theirs)

    @pytest.mark.parametrize("options", [{"upsampling": "all_learned"}, {"upsampling": "nearest"}, {"in_channels": 4}])
    def test_options(self, options, file, tmp_path, rng):
        net, other = network("fcn8s", **options), network("fcn8s", seed=2, **options)
        export(net, tmp_path / file)
        assert weights.load(other, tmp_path / file).missing == []
        x = pictures(net, 1, (40, 33), rng)
        np.testing.assert_array_equal(net(x), other(x))

    def test_the_facts(self, file, tmp_path):
        net = network("mini_fcn8s", dropout=0.25)
        net.transform = datasets.Preprocess(mean=(1.5, 2, 3), order="RGB", scale=1 / 255, std=(0.1, 0.2, 0.3))
        export(net, tmp_path / file, EXTRA)
        meta = weights.read_file(tmp_path / file).meta
        assert meta["model"] == "mini_fcn8s"
        assert meta["producer"] == f"fcn_from_scratch {__version__}"
        assert meta["options"] == {"num_classes": 3, "width": 2, "dropout": 0.25}
        assert meta["classes"] == EXTRA["classes"]
        assert meta["palette"] == EXTRA["palette"]
        assert datasets.Preprocess.from_dict(meta["transform"]) == net.transform
        assert meta["input"].startswith("RGB, 0..1, minus (1.5, 2, 3) / (0.1, 0.2, 0.3)")

    def test_recorded_options_are_of_one_network(self, file, tmp_path):
        export(network("fcn32s_late_fusion", fusion="sum", in_channels=(3, 1)), tmp_path / file)
        content = weights.read_file(tmp_path / file)
        expected = {"num_classes": 3, "width": 2, "fusion": "sum", "in_channels": (3, 1)}
        assert weights.recorded_options(content, None) == expected
        assert weights.recorded_options(content, "fcn32s_late_fusion") == expected
        assert weights.recorded_options(content, "fcn32s") is None
        assert weights.recorded_options(content._replace(meta={}), None) is None

    def test_weights_of_an_at_once_network_are_known_as_such(self, file, tmp_path):
        export(network("fcn8s_atonce"), tmp_path / file)
        with refuses("is of an at-once network"):
            weights.load(network("fcn8s"), tmp_path / file)

    def test_the_same_network_gives_the_same_bytes(self, file, tmp_path):
        export(network("mini_fcn8s"), tmp_path / file)
        first = (tmp_path / file).read_bytes()
        export(network("mini_fcn8s"), tmp_path / file)
        assert (tmp_path / file).read_bytes() == first

    def test_double_precision_is_narrowed(self, file, tmp_path):
        net = network("mini_fcn8s", dtype=np.float64)
        export(net, tmp_path / file)
        for name, array in weights.read(tmp_path / file).items():
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, net.params[name].astype(np.float32))


class TestTorchFile:
    @pytest.mark.torch
    @pytest.mark.parametrize("mmap", [False, True])
    @pytest.mark.parametrize("name", ["mini_fcn8s", "fcn16s", "fcn_googlenet"])
    def test_torch_reads_it(self, name, mmap, tmp_path):
        torch = torch_module()
        net = network(name)
        export(net, tmp_path / "net.pth", EXTRA)
        state = torch.load(tmp_path / "net.pth", weights_only=True, mmap=mmap)
        assert type(state).__name__ == "OrderedDict"
        for key, tensor in state.items():
            assert tensor.dtype == torch.float32
            assert tensor.is_contiguous()
            if key in net.params:
                np.testing.assert_array_equal(tensor.numpy(), net.params[key])
        assert state.keys() >= net.params.keys()
        facts = state.fcn_from_scratch
        assert json.loads(facts["classes"]) == EXTRA["classes"]
        assert facts["model"] == name
        state["score_fr.weight"].add_(1)  # it is a tensor of its own

    @pytest.mark.parametrize("name", PYTORCH_FCN)
    def test_the_names_are_pytorch_fcns(self, name, tmp_path):
        """Also without PyTorch: the fixed kernels are there, dense, each class by itself."""
        net = network(name)
        export(net, tmp_path / "net.pth")
        arrays = weights.read(tmp_path / "net.pth")
        kernels = {f"{layer}.weight": (3, 3, side, side) for layer, side in PYTORCH_FCN[name].items()}
        assert arrays.keys() == net.params.keys() | kernels.keys()
        for key, shape in kernels.items():
            assert arrays[key].shape == shape
            ramp = 1 - np.abs(np.arange(shape[3]) - (shape[3] - 1) / 2) / (shape[3] // 2)
            np.testing.assert_allclose(arrays[key][1, 1], np.outer(ramp, ramp), atol=1e-7)
            assert not arrays[key][0, 1].any()

    def test_other_networks_keep_to_their_parameters(self, tmp_path):
        for name in ("mini_fcn8s", "fcn_alexnet", "fcn8s_two_heads", "fcn8s_dilated"):
            net = network(name)
            export(net, tmp_path / "net.pth")
            assert list(weights.read(tmp_path / "net.pth")) == list(net.params)

    @pytest.mark.torch
    @pytest.mark.parametrize("name", PYTORCH_FCN)
    def test_pytorch_fcn_computes_the_same(self, name, tmp_path, rng):
        """A class written as pytorch-fcn writes it, at another width, takes the file strictly."""
        torch = torch_module()
        net = network(name)
        export(net, tmp_path / "net.pth")
        other = pytorch_fcn(torch, name, width=2, classes=3).eval()
        other.load_state_dict(torch.load(tmp_path / "net.pth", weights_only=True))
        for size in [(65, 97), (40, 33)]:
            x = pictures(net, 2, size, rng)
            ours = net(x)
            with torch.no_grad():
                theirs = other(torch.from_numpy(x)).numpy()
            close(theirs / np.abs(ours).max(), ours / np.abs(ours).max(), 1e-5)

    def test_the_archive(self, tmp_path):
        net = network("mini_fcn8s")
        export(net, tmp_path / "net.pth")
        with zipfile.ZipFile(tmp_path / "net.pth") as archive:
            assert archive.testzip() is None
            assert archive.read("archive/byteorder") == b"little"
            assert archive.read("archive/version") == b"3\n"
            names = [f"archive/data/{key}" for key in range(len(net.params))]
            assert set(names) < set(archive.namelist())
            for name, array in zip(names, net.params.values()):
                member = archive.getinfo(name)
                assert member.compress_type == zipfile.ZIP_STORED
                assert archive.read(name) == array.tobytes()
                header = (tmp_path / "net.pth").read_bytes()[member.header_offset :][:30]
                start = member.header_offset + 30 + int.from_bytes(header[26:28], "little")
                assert (start + int.from_bytes(header[28:30], "little")) % 64 == 0

    def test_the_pickle_has_no_instruction_that_weights_only_refuses(self, tmp_path):
        export(network("mini_fcn8s"), tmp_path / "net.pth")
        with zipfile.ZipFile(tmp_path / "net.pth") as archive:
            found = list(pickletools.genops(archive.read("archive/data.pkl")))
        assert {opcode.name for opcode, _, _ in found} <= {
            *("PROTO", "GLOBAL", "MARK", "TUPLE", "REDUCE", "BINPERSID", "BINUNICODE", "BININT", "NEWFALSE"),
            *("EMPTY_DICT", "SETITEMS", "BUILD", "STOP"),
        }
        assert {argument for opcode, argument, _ in found if opcode.name == "GLOBAL"} == {
            *("collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch FloatStorage")
        }


class TestPickles:
    @pytest.mark.parametrize("number", [0, 1, 255, 70_000, 2**31 - 1, 2**31, 2**40, 2**62])
    def test_integers(self, number):
        assert Machine(io.BytesIO(program.program(program.integer(number))), {}).run() == number

    def test_python_reads_them(self):
        import pickle

        words = program.sequence(
            program.text("Häuser"), program.integers((3, 2**33)), program.FALSE, program.integers(())
        )
        assert pickle.loads(program.program(words)) == ("Häuser", (3, 2**33), False, ())
        entries = [("a", program.text("b")), ("c", program.integer(2))]
        assert pickle.loads(program.program(program.filled(program.EMPTY_DICT, entries))) == {"a": "b", "c": 2}


class TestSafetensors:
    def test_its_package_reads_it(self, tmp_path):
        package("safetensors")
        from safetensors import safe_open
        from safetensors.numpy import load_file

        net = network("fcn16s")
        export(net, tmp_path / "net.safetensors", EXTRA)
        arrays = load_file(tmp_path / "net.safetensors")
        assert arrays.keys() == net.params.keys() | {"upscore2.weight", "upscore16.weight"}
        for name, array in net.params.items():
            np.testing.assert_array_equal(arrays[name], array)
        with safe_open(tmp_path / "net.safetensors", "numpy") as file:
            assert json.loads(file.metadata()["palette"]) == EXTRA["palette"]

    def test_the_numbers_begin_at_a_multiple_of_eight(self, tmp_path):
        for name in ("mini_fcn8s", "mini_fcn16s", "mini_unpool", "mini_fcn32s"):
            export(network(name), tmp_path / "net.safetensors")
            data = (tmp_path / "net.safetensors").read_bytes()
            assert int.from_bytes(data[:8], "little") % 8 == 0


def pytorch_fcn(torch, name, width, classes):
    """The class of https://github.com/wkentaro/pytorch-fcn for this network, with `width` channels in place of 64."""
    nn = torch.nn
    channels = [width, 2 * width, 4 * width, 8 * width, 8 * width]

    class FCN(nn.Module):
        def __init__(self):
            super().__init__()
            before, pad = 3, 100
            for stage, (out, count) in enumerate(zip(channels, (2, 2, 3, 3, 3)), start=1):
                for number in range(1, count + 1):
                    setattr(self, f"conv{stage}_{number}", nn.Conv2d(before, out, 3, padding=pad))
                    before, pad = out, 1
            self.fc6 = nn.Conv2d(before, 64 * width, 7)
            self.fc7 = nn.Conv2d(64 * width, 64 * width, 1)
            self.drop6 = self.drop7 = nn.Dropout2d()
            self.score_fr = nn.Conv2d(64 * width, classes, 1)
            for pool, out in (("pool3", 4 * width), ("pool4", 8 * width)):
                if {"pool3": "upscore8", "pool4": "upscore2"}[pool] in PYTORCH_FCN[name]:
                    setattr(self, f"score_{pool}", nn.Conv2d(out, classes, 1))
            for layer, side in PYTORCH_FCN[name].items():
                setattr(self, layer, nn.ConvTranspose2d(classes, classes, side, stride=side // 2, bias=False))

        def forward(self, x):
            h, pools = x, {}
            for stage, count in enumerate((2, 2, 3, 3, 3), start=1):
                for number in range(1, count + 1):
                    h = torch.relu(getattr(self, f"conv{stage}_{number}")(h))
                h = pools[stage] = nn.functional.max_pool2d(h, 2, stride=2, ceil_mode=True)
            h = self.drop6(torch.relu(self.fc6(h)))
            h = self.score_fr(self.drop7(torch.relu(self.fc7(h))))
            last, start = {"fcn32s": ("upscore", 19), "fcn16s": ("upscore16", 27)}.get(name, ("upscore8", 31))
            at_once = name.endswith("atonce")
            if last != "upscore":
                h = self.upscore2(h)
                fine = self.score_pool4(pools[4] * 0.01 if at_once else pools[4])
                h = h + fine[:, :, 5 : 5 + h.shape[2], 5 : 5 + h.shape[3]]
            if last == "upscore8":
                h = self.upscore_pool4(h)
                fine = self.score_pool3(pools[3] * 0.0001 if at_once else pools[3])
                h = h + fine[:, :, 9 : 9 + h.shape[2], 9 : 9 + h.shape[3]]
            h = getattr(self, last)(h)
            return h[:, :, start : start + x.shape[2], start : start + x.shape[3]].contiguous()

    return FCN()
