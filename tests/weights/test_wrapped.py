"""Weights that are wrapped: in dicts of a trainer, behind words before each name, in several files, with groups."""

import json

import numpy as np
import pytest
import weight_files as files
from arrays import refuses, torch_module

from fcn_from_scratch import models, weights
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.weights import formats, names


@pytest.fixture
def arrays(rng):
    return {f"conv1_{n}.weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float32) for n in range(1, 7)}


@pytest.fixture
def read(tmp_path):
    def read(content):
        (tmp_path / "w.pth").write_bytes(files.torch_zip(content))
        return weights.read_file(tmp_path / "w.pth")

    return read


def tensors(**arrays):
    return {name: files.tensor(np.asarray(array, np.float32)) for name, array in arrays.items()}


# --- dicts around the weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keys", [["net"], ["weights"], ["a", "b", "c"], ["model"], ["G_state"], [0], ["list", 1], [""]]
)
def test_a_sole_dict_of_tensors_under_any_key(read, arrays, keys):
    content = files.state_dict(arrays)
    for key in reversed(keys):
        content = {"epoch": 3, key: content} if isinstance(key, str) else [0, content]
    found = read(content)
    assert list(found.arrays) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
    assert found.meta == ({"epoch": 3} if isinstance(content, dict) else {})
    known = keys == ["model"]
    assert len(found.notes) == (not known)


@pytest.mark.parametrize(
    "beside",
    [
        {
            "optimizer": {
                "state": {0: {"exp_avg": "T"}, 1: {"exp_avg": "T"}},
                "param_groups": [{"lr": "T", "params": [0]}],
            }
        },
        {"optim": {"state": {"conv1_1.weight": {"exp_avg": "T", "exp_avg_sq": "T"}}}},
        {"best_acc1": "T", "epoch": 3, "loss": 0.5},
        {"mean": "T", "std": "T"},
        {"criterion": {"weight": "T"}},
        {"lr_scheduler": {"base": "T"}, "scaler": {"scale": "T"}},
        {"history": ["T", "T"], "scores": {3: "T"}},
        {"ema": {"conv1_1.weight": "T", "conv1_2.weight": "T"}},
        {"config": {"model": {"name": "x"}}, "model": "fcn8s"},
    ],
)
def test_tensors_of_other_things_are_no_weights(read, arrays, beside):
    def made(value):
        if isinstance(value, dict):
            return {key: made(each) for key, each in value.items()}
        return [made(each) for each in value] if isinstance(value, list) else value

    def put(value):
        if value == "T":
            return files.tensor(np.ones(2, np.float32))
        if isinstance(value, dict):
            return {key: put(each) for key, each in value.items()}
        return [put(each) for each in value] if isinstance(value, list) else value

    for content in ({"net": files.state_dict(arrays), **put(beside)}, {**put(beside), "net": files.state_dict(arrays)}):
        assert list(read(content).arrays) == list(arrays)


def test_several_dicts_of_tensors_are_named(read, arrays):
    content = {"generator": files.state_dict(arrays), "deep": {"discriminator": files.state_dict(arrays)}}
    with refuses("w.pth", "2 dicts of tensors", "['generator'], ['deep']['discriminator']", "torch.save(torch.load("):
        read(content)


def test_one_dict_under_two_keys_is_one(read, arrays):
    shared = files.state_dict(arrays)
    assert list(read({"net": shared, "best": shared}).arrays) == list(arrays)


def test_what_lies_at_the_top_stays_the_weights(read, arrays):
    found = read({**files.state_dict(arrays), "extra": tensors(x=[1]), "version": 2})
    assert (list(found.arrays), found.notes) == (list(arrays), ())


@pytest.mark.parametrize("content", [{"state": {0: "T"}}, ["T"], {"a": {"b": {}}}, {3: "T"}])
def test_tensors_without_names_are_no_weights(read, content):
    tensor = files.tensor(np.ones(2, np.float32))
    text = {"state": {0: tensor}} if "state" in content else [tensor] if isinstance(content, list) else {3: tensor}
    with pytest.raises(InputError, match=r"torch\.save\(model\.state_dict\(\)"):
        read(content if "a" in content else text)


# --- words before the names -------------------------------------------------------------------------------------

PREFIXES = ("module.", "module.module.", "model.", "net.", "_orig_mod.", "predictor/", "network.", "state_dict.")
COMBINED = ("_orig_mod.module.", "module._orig_mod.net.", "model/predictor/", "_fsdp_wrapped_module.model.")
UNLISTED = ("segmenter.", "student.body.")


@pytest.fixture
def net():
    return models.build("mini_fcn8s", 4, width=2, seed=1)


def with_prefix(net, prefix):
    return {f"{prefix}{name}": value + 1 for name, value in net.params.items()}


@pytest.mark.parametrize("prefix", [*PREFIXES, *COMBINED, *UNLISTED])
@pytest.mark.parametrize("kind", ["pth", "npz", "safetensors"])
def test_words_of_wrappers_are_dropped_and_reported(net, tmp_path, prefix, kind):
    if (kind, prefix) == ("npz", "model/predictor/"):
        pytest.skip("model/ is the beginning of the names in this project's checkpoints")
    theirs, path = with_prefix(net, prefix), tmp_path / f"w.{kind}"
    if kind == "npz":
        np.savez(path, **theirs)
    else:
        path.write_bytes(
            files.safetensors(theirs) if kind == "safetensors" else files.torch_zip(files.state_dict(theirs))
        )
    other = models.build("mini_fcn8s", 4, width=2, seed=2)
    report = weights.load(other, path)
    assert (set(report.used), report.missing, report.unused) == (set(net.params), [], [])
    for name, value in net.params.items():
        np.testing.assert_array_equal(other.params[name], value + 1)
    if prefix not in UNLISTED:
        assert f"dropped from the names: {prefix}" in report.notes
    assert list(weights.read(path)) == list(theirs)  # these stay the file's


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "predictor/"])
def test_what_the_names_tell_is_told_with_a_prefix_too(net, tmp_path, prefix):
    """The number of classes; whether the network is an at-once one; and that it is torchvision's."""
    (tmp_path / "w.pth").write_bytes(files.torch_zip(files.state_dict(with_prefix(net, prefix))))
    assert weights.told_options(weights.read_file(tmp_path / "w.pth")) == {"num_classes": 4}
    atonce = models.build("mini_fcn8s_atonce", 4, width=2, seed=1)
    scaled = with_prefix(net, prefix) | {f"{prefix}scale_pool4.weight": np.float32([0.01])}
    (tmp_path / "w.pth").write_bytes(files.torch_zip(files.state_dict(scaled)))
    with refuses("w.pth", "of an at-once network"):
        weights.load(net, tmp_path / "w.pth")
    scaled |= {f"{prefix}scale_pool3.weight": np.float32([0.7])}
    (tmp_path / "w.pth").write_bytes(files.torch_zip(files.state_dict(scaled)))
    with refuses("w.pth", "scale_pool3.weight is 0.7"):
        weights.load(atonce, tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("module.conv1_1.weight", "conv1_1.weight"),
        ("features._orig_mod.0.weight", "features.0.weight"),
        ("module.trunk._fsdp_wrapped_module.conv1.bias", "trunk.conv1.bias"),
        ("updater/model:main/predictor/conv1_1.weight", "conv1_1.weight"),
        ("network_in_network.weight", "network_in_network.weight"),
        ("modules.weight", "modules.weight"),
        ("model", "model"),
        ("conv1_1.module.weight", "conv1_1.module.weight"),
        ("module.", "module."),
    ],
)
def test_only_whole_words_at_the_beginning(name, short):
    assert names.bare(name) == short


def test_a_networks_own_names_stay(tmp_path):
    """Of a reader's own network, whose names begin like a wrapper's."""
    assert names.ours(["net.conv.weight", "module.net.conv.bias"], {"net.conv.weight", "net.conv.bias"}) == {
        "net.conv.weight": "net.conv.weight",
        "module.net.conv.bias": "conv.bias",
    }


def test_one_name_under_two_words_is_refused(net, tmp_path):
    theirs = with_prefix(net, "model.") | with_prefix(net, "net.")
    (tmp_path / "w.pth").write_bytes(files.torch_zip(files.state_dict(theirs)))
    with refuses("w.pth", "holds conv1_1.weight twice: as model.conv1_1.weight and as net.conv1_1.weight"):
        weights.load(net, tmp_path / "w.pth")


def test_nothing_is_dropped_where_nothing_fits(net, tmp_path):
    np.savez(tmp_path / "w.npz", **{"segmenter.a": np.ones(2), "segmenter.b": np.ones(2)})
    with refuses("w.npz", "none of its 2 arrays", "segmenter.a, segmenter.b"):
        weights.load(net, tmp_path / "w.npz")


# --- upsampling with groups -------------------------------------------------------------------------------------


def bilinear(size):
    factor = (size + 1) // 2
    line = 1 - np.abs(np.arange(size) - (factor - 1 if size % 2 else factor - 0.5)) / factor
    return np.outer(line, line).astype(np.float32)


def grouped(net, rows, block=1):
    """Kernels (rows, block, k, k), the bilinear one on the diagonal of each group, for the fixed layers."""
    found = {}
    for name, layer in net.children.items():
        if name.startswith("upscore"):
            found[f"{name}.weight"] = np.zeros((rows, block, *layer.kernel_size), np.float32)
            for row in range(rows):
                found[f"{name}.weight"][row, row % block] = bilinear(layer.kernel_size[0])
    return found


@pytest.mark.parametrize("block", [1, 2, 4])
def test_a_bilinear_kernel_with_groups_is_the_fixed_one(net, tmp_path, block):
    np.savez(tmp_path / "w.npz", **net.params, **grouped(net, 4, block))
    report = weights.load(models.build("mini_fcn8s", 4, width=2), tmp_path / "w.npz")
    assert report.fixed == ["upscore2.weight", "upscore_pool4.weight", "upscore8.weight"]
    assert not report.unused


@pytest.mark.parametrize("place", [(0, 0, 1, 1), (3, 0, 0, 3)])
def test_a_learned_kernel_with_groups_is_not_thrown_away(net, tmp_path, place):
    kernels = grouped(net, 4)
    kernels["upscore2.weight"][place] += 0.01
    np.savez(tmp_path / "w.npz", **net.params, **kernels)
    with refuses("w.npz", "upscore2.weight is not the bilinear kernel"):
        weights.load(net, tmp_path / "w.npz")


@pytest.mark.parametrize("shape", [(0, 1, 4, 4), (4, 0, 4, 4), (4, 3, 4, 4), (4, 1, 4, 5), (16,)])
def test_kernels_of_odd_shapes_are_refused(net, tmp_path, shape):
    np.savez(tmp_path / "w.npz", **net.params, **{"upscore2.weight": np.zeros(shape, np.float32)})
    with refuses("w.npz", "upscore2.weight is not the bilinear kernel"):
        weights.load(net, tmp_path / "w.npz")


@pytest.mark.parametrize("block", [1, 2])
def test_learned_groups_fill_the_diagonal(tmp_path, rng, block):
    """By loops: output channel o of group g sees the input channels of g alone."""
    net = models.build("mini_fcn8s", 4, width=2, seed=1, upsampling="learned")
    kernel = rng.standard_normal((4, block, 4, 4)).astype(np.float32)
    np.savez(tmp_path / "w.npz", **{**net.params, "upscore2.weight": kernel})
    report = weights.load(net, tmp_path / "w.npz")
    assert any("upscore2.weight has groups" in note for note in report.notes)
    for c in range(4):
        for o in range(4):
            same = c // block == o // block
            expected = kernel[c, o % block] if same else np.zeros((4, 4))
            np.testing.assert_array_equal(net.params["upscore2.weight"][c, o], expected)


@pytest.mark.torch
def test_pytorchs_layer_with_groups_gives_the_same_map(tmp_path, rng):
    torch = torch_module()
    net = models.build("mini_fcn8s", 4, width=2, seed=1, upsampling="learned")
    theirs = torch.nn.ConvTranspose2d(4, 4, 4, 2, groups=2, bias=False)
    state = {name: torch.tensor(np.asarray(value)) for name, value in net.state_dict().items()}
    torch.save(state | {"upscore2.weight": theirs.weight.detach()}, tmp_path / "w.pth")
    weights.load(net, tmp_path / "w.pth")
    x = rng.standard_normal((2, 4, 5, 6)).astype(np.float32)
    expected = theirs(torch.tensor(x)).detach().numpy()
    crop = (expected.shape[2] - net.children["upscore2"](x).shape[2]) // 2  # the layer's padding
    expected = expected[:, :, crop or None : -crop or None, crop or None : -crop or None]
    np.testing.assert_allclose(net.children["upscore2"](x), expected, atol=1e-6)


# --- several files ----------------------------------------------------------------------------------------------


@pytest.fixture
def two(arrays):
    return dict(list(arrays.items())[:2])


@pytest.fixture
def shards(tmp_path, two):
    """A function that writes two files and their index, with changes; returns the index's path."""

    def write(change=lambda index: None, name="model.safetensors.index.json"):
        (first, a), (second, b) = two.items()
        (tmp_path / "one.safetensors").write_bytes(files.safetensors({first: a}, {"format": "pt"}))
        (tmp_path / "two.safetensors").write_bytes(files.safetensors({second: b}))
        places = {first: "one.safetensors", second: "two.safetensors"}
        index = {"metadata": {"total_size": a.nbytes + b.nbytes}, "weight_map": places}
        index = change(index) or index
        path = tmp_path / name
        path.write_text(index if isinstance(index, str) else json.dumps(index, indent=2))
        return path

    return write


@pytest.mark.parametrize("name", ["model.safetensors.index.json", "index.json", "w.safetensors"])
def test_an_index_is_read(shards, two, name):
    found = weights.read_file(shards(name=name))
    assert found.format == formats.SHARDS
    assert found.arrays.keys() == two.keys()
    for key, array in two.items():
        np.testing.assert_array_equal(found.arrays[key], array)


def test_an_index_may_lack_its_size_and_use_folders(shards, tmp_path, two):
    def moved(index):
        (tmp_path / "sub").mkdir()
        (tmp_path / "two.safetensors").rename(tmp_path / "sub" / "two.safetensors")
        return {"weight_map": dict(zip(two, ["./one.safetensors", "sub/two.safetensors"]))}

    assert weights.read(shards(moved)).keys() == two.keys()


@pytest.mark.parametrize(
    "name",
    [
        "../one.safetensors",
        "sub/../../one.safetensors",
        "/etc/one.safetensors",
        r"C:\one.safetensors",
        "C:one.safetensors",
        r"..\one.safetensors",
        r"\\server\share\one.safetensors",
        "one.bin",
        "one.safetensors\0",
        "/dev/zero",
        "",
        None,
        3,
        ["one.safetensors"],
    ],
)
def test_an_index_names_only_files_of_its_folder(shards, name):
    with refuses("index.json", "it names"):
        weights.read(shards(lambda index: index["weight_map"].update({"conv1_1.weight": name})))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda index: index["weight_map"].update({"x": "gone.safetensors"}), "gone.safetensors, which is not there"),
        (lambda index: index["weight_map"].update({"x": "one.safetensors"}), "differ in the arrays that they name: x"),
        (lambda index: index["weight_map"].pop("conv1_2.weight") and None, "total_size|bytes of numbers; they hold"),
        (lambda index: index["metadata"].update(total_size=7), "hold 7 bytes of numbers; they hold 864"),
        (lambda index: index["metadata"].update(total_size="9" * 30), "total_size is no number"),
        (lambda index: index["metadata"].update(total_size=10**40), "total_size is no number"),
        (lambda index: index.update(metadata=[]), "without a weight_map"),
        (lambda index: index.update(weight_map=["a"]), "without a weight_map"),
        (lambda index: "{}", "without a weight_map"),
        (lambda index: "{", "not a sound index"),
        (lambda index: '{"a":' * 100_000, "not a sound index"),
        (lambda index: '{"a": "' + "x" * (9 << 20) + '"}', "more than"),
        (
            lambda index: index.update(weight_map={f"a{n}": f"{n}.safetensors" for n in range(1001)}),
            "names 1001 files",
        ),
    ],
)
def test_an_index_that_lies_is_refused(shards, change, reason):
    path = shards(change)
    with pytest.raises(InputError, match=reason) as caught:
        weights.read(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_damaged_shard_is_named(shards, tmp_path):
    path = shards()
    data = (tmp_path / "two.safetensors").read_bytes()
    (tmp_path / "two.safetensors").write_bytes(data[:-5])
    with refuses("index.json", "two.safetensors"):
        weights.read(path)


# --- files that are named, with the remedy ----------------------------------------------------------------------


@pytest.mark.parametrize("value", [{"conv1_1": [np.ones(2), np.ones(1)]}, {"w": np.ones(3)}, [np.ones(2), "x"]])
@pytest.mark.parametrize("name", ["vgg16.npy", "vgg16.pth", "vgg16"])
def test_a_pickled_npy(tmp_path, value, name):
    with open(tmp_path / name, "wb") as file:
        np.save(file, np.array(value, dtype=object), allow_pickle=True)
    with refuses(name, "a .npy of Python objects", "np.savez", "docs/weights.md"):
        weights.read(tmp_path / name)


def test_a_pickled_npz(tmp_path):
    np.savez(tmp_path / "w.npz", net=np.array({"a": np.ones(2)}, dtype=object))
    with refuses("w.npz", "net.npy holds object, not numbers but Python objects", "allow_pickle=True"):
        weights.read(tmp_path / "w.npz")


def test_one_array_without_a_name(tmp_path):
    np.save(tmp_path / "w.npy", np.ones((3, 2)))
    with refuses("w.npy", "one array without a name", "np.savez(FILE, NAME=np.load(FILE))"):
        weights.read(tmp_path / "w.npy")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(128), "pascal-fcn8s-dag.mat"),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF", "net.mat"),
        (b"MATLAB 5.0 MAT-file".ljust(128), "net"),
        (b"\0\0\0\0\x03\0\0\0".ljust(64), "old.mat"),
    ],
)
def test_a_network_of_matconvnet(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with refuses(name, "MATLAB file", "MatConvNet", ".npz", "docs/weights.md"):
        weights.read(tmp_path / name)
