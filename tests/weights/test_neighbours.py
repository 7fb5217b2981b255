"""What trainers save beside the weights: it is left out, nothing of it is imported or called, the weights are read."""

import argparse
import collections
import datetime
import decimal
import enum
import fractions
import functools
import io
import os
import pathlib
import pickle
import random
import subprocess
import sys
import uuid

import numpy as np
import pytest
import weight_files as files
from arrays import refuses, torch_module

from fcn_from_scratch import models, weights
from fcn_from_scratch.weights import pickles
from fcn_from_scratch.weights.pickles import Machine
from fcn_from_scratch.weights.placeholders import Placeholder


class Colour(enum.Enum):
    RED = 1


class Settings:
    """A class of the trainer's own."""

    def __init__(self):
        self.lr, self.again = 0.1, self

    def __setstate__(self, state):
        raise AssertionError("a file was able to call a method")


class Bomb:
    """Unpickled, it would call a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


NEIGHBOURS = {
    "counter": collections.Counter({10: 1, 20: 2}),
    "ordered": collections.OrderedDict(a=1),
    "default": collections.defaultdict(list, {"a": [1]}),
    "deque": collections.deque([1, 2], maxlen=3),
    "set": {1, "a", (2, 3)},
    "frozen set": frozenset({1, 2}),
    "namespace": argparse.Namespace(lr=0.1, model="fcn8s"),
    "path": pathlib.PurePosixPath("/data/voc"),
    "date": datetime.datetime(2026, 11, 28, tzinfo=datetime.timezone.utc),
    "decimal": decimal.Decimal("0.1"),
    "fraction": fractions.Fraction(1, 3),
    "enum": Colour.RED,
    "settings": Settings(),
    "partial": functools.partial(print, "x"),
    "function": os.path.join,
    "class": dict,
    "random state": random.Random(1).getstate(),
    "uuid": uuid.UUID(int=5),
    "complex": 1j,
    "slice": slice(1, 2),
    "bytearray": bytearray(b"abc"),
    "array": np.arange(6.0).reshape(2, 3),
    "array of objects": np.array([None, "x"], dtype=object),
    "array of text": np.array(["car", "road"]),
    "record": np.zeros(2, [("a", "f4"), ("b", "i2")]),
    "numpy number": np.float32(0.5),
    "numpy complex": np.complex64(1j),
    "numpy text": np.str_("x"),
    "numpy date": np.datetime64("2026-11-28"),
    "numpy bool": np.bool_(True),
    "dtype": np.dtype("f4"),
    "odd keys": {0.5: 1, None: 2, (1, 2): 3, b"x": 4, np.float64(1): 5, frozenset({1}): 6, 2**70: 7, Colour.RED: 8},
}
COMMAND = "touch sprung"
BOMBS = {
    "system": Bomb(os.system, COMMAND),
    "popen": Bomb(subprocess.Popen, ["touch", "sprung"]),
    "exec": Bomb(exec, "open('sprung', 'w').close()"),
    "getattr": Bomb(getattr, "text", "upper"),
    "in a key": {Bomb(eval, "open('sprung', 'w').close()"): 1},
    "in a set": {Bomb(eval, "open('sprung', 'w').close()")},
    "in a state": [Bomb(eval, "open('sprung', 'w').close()"), Settings()],
}


@pytest.fixture
def arrays(rng):
    return {"conv1_1.weight": rng.standard_normal((4, 3, 3, 3)), "conv1_1.bias": rng.standard_normal(4)}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", [*NEIGHBOURS, *BOMBS])
def test_what_lies_beside_the_weights(arrays, tmp_path, monkeypatch, name, protocol):
    """In today's files with every protocol that torch.save can be asked for. A name of a module is all that is kept."""
    monkeypatch.chdir(tmp_path)
    content = {"first": (NEIGHBOURS | BOMBS)[name], "state_dict": files.state_dict(arrays), "epoch": 3}
    (tmp_path / "w.pth").write_bytes(files.torch_zip(content, protocol=protocol))
    found = weights.read_file(tmp_path / "w.pth")
    assert list(found.arrays) == list(arrays)
    for key, array in arrays.items():
        np.testing.assert_array_equal(found.arrays[key], array)
    assert found.meta["epoch"] == 3
    assert not (tmp_path / "sprung").exists()
    if name in BOMBS:
        assert "which building arrays does not need; nothing was run" in found.notes[0]


def test_nothing_is_imported(arrays, tmp_path):
    """Also a module that is there, but was not imported yet."""
    (tmp_path / "w.pth").write_bytes(
        files.torch_zip({"x": files.named("go", "antigravity"), **files.state_dict(arrays)})
    )
    assert weights.read(tmp_path / "w.pth").keys() == arrays.keys()
    assert "antigravity" not in sys.modules


def test_an_object_is_a_placeholder_with_what_was_put_into_it():
    """As plain dicts. It may hold itself; nothing of it is called, and lists and sets are forgotten."""
    program = (
        b"\x80\x02cmod\nKind\n)\x81q\x00}X\x01\x00\x00\x00ah\x00sb"  # an object whose state holds it
        b"(X\x01\x00\x00\x00bh\x00u(h\x00h\x00eh\x00a."  # items are put into it, and it is appended to itself
    )
    machine = Machine(io.BytesIO(program), {})
    result = machine.run()
    assert type(result) is Placeholder
    assert result.name == "mod.Kind"
    assert (result.items, result.attributes) == ({"b": result}, {"a": result})
    assert not hasattr(result, "__dict__")
    known = machine.unknown["mod.Kind"]  # the class, which other objects share
    assert (known.items, known.attributes) == (None, None)


class Mapping(dict):
    """A dict of the trainer's own."""


class Holder:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


def with_attributes(state):
    found = Mapping(state)
    found.__dict__.update(state)  # as EasyDict and its like
    return found


WRAPPERS = {
    "defaultdict": lambda state: collections.defaultdict(int, state),
    "a subclass": Mapping,
    "a subclass in a dict": lambda state: {"state_dict": Mapping(state)},
    "a subclass in itself": lambda state: Mapping(net=Mapping(state)),
    "a subclass with attributes": with_attributes,
    "UserDict": collections.UserDict,
    "Counter": collections.Counter,
    "Namespace": lambda state: argparse.Namespace(state_dict=state, args=3),
    "Namespace in a dict": lambda state: {"epoch": 3, "model": argparse.Namespace(state_dict=state)},
    "a class": lambda state: Holder(net=state, epoch=3),
    "a class in a list": lambda state: [3, Holder(net=state)],
    "beside an optimiser": lambda state: {"optimizer": {"state": {0: {"exp": 1}}}, "net": Mapping(state)},
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", WRAPPERS)
def test_weights_in_an_object(arrays, tmp_path, name, protocol):
    content = WRAPPERS[name](files.state_dict(arrays))
    (tmp_path / "w.pth").write_bytes(files.torch_zip(content, protocol=protocol))
    read = weights.read(tmp_path / "w.pth")
    assert list(read) == list(arrays)
    for key, array in arrays.items():
        np.testing.assert_array_equal(read[key], array)


@pytest.mark.parametrize("whole", [lambda state: Holder(_parameters=state, _modules={}), lambda state: Holder()])
def test_a_whole_network_is_no_dict_of_tensors(arrays, tmp_path, whole):
    (tmp_path / "w.pth").write_bytes(files.torch_zip({"model": whole(files.state_dict(arrays))}))
    with refuses("w.pth", "it holds no tensors by name", "Holder"):
        weights.read(tmp_path / "w.pth")


def test_a_class_of_tensors_beside_the_weights_is_left_out(arrays, tmp_path):
    content = {"stats": Holder(**files.state_dict({"mean": np.ones(3)})), "net": files.state_dict(arrays)}
    (tmp_path / "w.pth").write_bytes(files.torch_zip(content))
    assert list(weights.read(tmp_path / "w.pth")) == list(arrays)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("module", ["a." * 50 + "b", "m" * 4000])
def test_long_names_of_classes(arrays, tmp_path, module, protocol):
    content = {"net": files.state_dict(arrays), "config": Bomb(files.named("Kind" * 20, module))}
    (tmp_path / "w.pth").write_bytes(files.torch_zip(content, protocol=protocol))
    found = weights.read_file(tmp_path / "w.pth")
    assert list(found.arrays) == list(arrays)
    assert len(found.notes[1]) < 300


@pytest.mark.parametrize("number", [2**3000, -(2**3000), 2**2030, 2**2047, 2**200, -1])
def test_long_integers(arrays, tmp_path, number):
    (tmp_path / "w.pth").write_bytes(files.torch_zip({"state_dict": files.state_dict(arrays), "n": [number, number]}))
    assert list(weights.read(tmp_path / "w.pth")) == list(arrays)


def test_keys_that_collide_cost_nothing():
    """Numbers that are equal modulo 2**61 - 1 have one hash: as keys they would make a dict slow."""
    keys = [pickles.dict_key(n * (2**61 - 1)) for n in range(1, 2000)]
    assert len(set(keys)) == len(keys)
    assert len({hash(key) for key in keys}) > 1900


def test_names_from_a_file_cannot_control_the_terminal(tmp_path, arrays):
    name = "\x1b[31mred\u202e" + "x" * 500
    content = {"x": files.named(name, "mod\x07ule"), "net": files.state_dict(arrays)}
    (tmp_path / "w.pth").write_bytes(files.torch_zip(content, protocol=4))
    notes = " ".join(weights.read_file(tmp_path / "w.pth").notes)
    assert "mod?ule.?[31mred?" in notes
    assert notes.isprintable()
    assert len(notes) < 400


def test_a_parameter_that_cannot_be_read_is_named(tmp_path, arrays):
    state = files.state_dict(arrays) | {"conv1_2.weight": Bomb(files.named("_rebuild_qtensor", "torch._utils"), 1)}
    (tmp_path / "w.pth").write_bytes(files.torch_zip(state))
    found = weights.read_file(tmp_path / "w.pth")
    assert list(found.arrays) == list(arrays)
    assert "conv1_2.weight (torch._utils._rebuild_qtensor)" in found.notes[0]


def test_the_report_tells_what_was_left_out(tmp_path):
    model = models.build("mini_fcn8s", 4, width=2, seed=1)
    content = {"net": files.state_dict(model.params), "args": argparse.Namespace(lr=1)}
    (tmp_path / "w.pth").write_bytes(files.torch_zip(content))
    report = weights.load(models.build("mini_fcn8s", 4, width=2, seed=2), tmp_path / "w.pth")
    assert len(report.used) == len(model.params)
    assert "argparse.Namespace" in report.notes[1]
    assert "['net']" in report.notes[0]


@pytest.mark.torch
class TestWhatPyTorchWrites:
    def test_trainers_files(self, tmp_path):
        """Schedulers, optimisers, scalers, states of generators, sizes, dtypes, devices, odd tensors, modules."""
        torch = torch_module()
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        optimizer = torch.optim.AdamW(module.parameters())
        module(torch.randn(2, 3, 5, 5)).sum().backward()
        optimizer.step()
        beside = {
            "MultiStepLR": torch.optim.lr_scheduler.MultiStepLR(optimizer, [10, 10, 20]).state_dict(),
            "OneCycleLR": torch.optim.lr_scheduler.OneCycleLR(optimizer, 1, 10).state_dict(),
            "LambdaLR": torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1).state_dict(),
            "optimizer": optimizer.state_dict(),
            "scaler": torch.amp.GradScaler("cpu").state_dict(),
            "random": [torch.get_rng_state(), np.random.default_rng(1).bit_generator.state, random.getstate()],
            "sizes": [torch.Size([1, 2]), torch.float32, torch.device("cpu"), torch.strided],
            "numbers": [
                1j,
                np.float64(1),
                {torch.float32: 1},
                torch.tensor(1j),
                torch.zeros(2, dtype=torch.float8_e5m2),
            ],
            "sparse": torch.eye(3).to_sparse(),
            "module": torch.nn.Linear(2, 2),
            "args": argparse.Namespace(lr=0.1),
        }
        for name, value in beside.items():
            torch.save({name: value, "weights": module.state_dict()}, tmp_path / "w.pth")
            read = weights.read(tmp_path / "w.pth")
            assert list(read) == list(module.state_dict()), name
            for key, tensor in module.state_dict().items():
                np.testing.assert_array_equal(read[key], tensor.numpy())

    def test_tensors_with_attributes_and_of_other_classes(self, tmp_path):
        torch = torch_module()
        marked, buffer = torch.randn(2, 3), torch.nn.Buffer(torch.randn(3))
        marked.note = "x"
        parameter = torch.nn.Parameter(torch.randn(4))
        parameter.note = {"a": 1}
        tensors = {"marked": marked, "parameter": parameter, "buffer": buffer}
        torch.save(tensors, tmp_path / "w.pth")
        read = weights.read(tmp_path / "w.pth")
        assert list(read) == list(tensors)
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(read[name], tensor.detach().numpy())

    def test_lazy_signs_and_conjugates(self, tmp_path):
        """A view with the negative bit: PyTorch stores the numbers with the other sign, and says so beside them."""
        torch = torch_module()
        x, n = torch.randn(3, 4), torch.arange(5)
        z = torch.complex(torch.randn(6), torch.randn(6))
        tensors = {
            "neg": torch._neg_view(x),
            "of a part": torch._neg_view(x[1:, ::2].T),
            "integers": torch._neg_view(n),
            "half": torch._neg_view(x.half()),
            "bfloat16": torch._neg_view(x.bfloat16()),
            "imaginary": z.conj().imag,
            "real": z.conj().real,
            "twice": torch._neg_view(torch._neg_view(x)),
            "parameter": torch.nn.Parameter(torch._neg_view(x)),
            "shared": x,
        }
        for new in (True, False):
            torch.save(tensors, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
            read = weights.read(tmp_path / "w.pth")
            for name, tensor in tensors.items():
                values = tensor.detach().resolve_neg().float().numpy()
                np.testing.assert_array_equal(np.asarray(read[name], np.float32), values, err_msg=name)

    def test_expanded_tensors(self, tmp_path):
        torch = torch_module()
        tensors = {
            "one": torch.full((1,), 2.5).expand(6),
            "rows": torch.arange(3.0)[:, None].expand(3, 4),
            "negative": torch._neg_view(torch.ones(1)).expand(2, 5),
            "none": torch.zeros(1).expand(0),
        }
        torch.save(tensors, tmp_path / "w.pth")
        read = weights.read(tmp_path / "w.pth")
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(read[name], tensor.resolve_neg().numpy())
        torch.save({"w": torch.zeros(1).expand(1 << 25)}, tmp_path / "w.pth")
        with refuses("w.pth", "w of shape (33554432,) repeats the 1 numbers that are stored too often"):
            weights.read(tmp_path / "w.pth")

    def test_a_whole_model_is_still_refused(self, tmp_path):
        torch = torch_module()
        torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth")
        with refuses("w.pth", "holds a torch.nn.modules.linear.Linear", "model.state_dict()", "nothing was run"):
            weights.read(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"neg": True}, [-1, -2]),
        ({"neg": False}, [1, 2]),
        ({"conj": True}, [1, 2]),
        ({}, [1, 2]),
        (None, [1, 2]),
        ({"neg": True, "scale": 2}, None),
        ({"scale": False}, [1, 2]),
        ("neg", None),
        ({"neg": 1}, [-1, -2]),
    ],
)
def test_what_pytorch_says_beside_a_tensor(tmp_path, metadata, expected):
    row = files.Row(np.float32([1, 2]))
    content = {"x": Bomb(files.REBUILD, row, 0, (2,), (1,), False, {}, metadata), "y": files.tensor(np.ones(1))}
    (tmp_path / "w.pth").write_bytes(files.torch_zip(content))
    found = weights.read_file(tmp_path / "w.pth")
    if expected is None:
        assert "x (a tensor with unknown metadata)" in found.notes[0]
    else:
        np.testing.assert_array_equal(found.arrays["x"], expected)


def test_pickle_is_what_would_have_run_it(tmp_path, monkeypatch):
    """The bombs are live: Python's own pickle springs them."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(BOMBS["exec"]))
    assert (tmp_path / "sprung").exists()
