"""plain(): which code computes inside it, which files a reader steps through, and that the engine computes the same."""

import argparse
import ast
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import fcn_from_scratch
from fcn_from_scratch import backend, datasets, engine, kernels, models, ops, plain
from fcn_from_scratch.cli import common
from fcn_from_scratch.engine import threads
from fcn_from_scratch.gradcheck.layer_cases import LAYERS
from fcn_from_scratch.gradcheck.op_cases import OPS
from fcn_from_scratch.metrics import ConfusionMatrix
from fcn_from_scratch.training import SGD, Trainer

PACKAGE = Path(fcn_from_scratch.__file__).parent
MOST_FILES = 22


# --- the switch -------------------------------------------------------------------------------------------------


def test_it_nests_and_ends():
    assert not backend.is_plain()
    with plain():
        with plain(False):
            assert not backend.is_plain()
        assert backend.is_plain()
        with pytest.raises(KeyError), plain():
            raise KeyError
        assert backend.is_plain()
    assert not backend.is_plain()


def test_commands_keep_the_mode_of_their_process():
    """A command without --plain runs in the mode that FCN_PLAIN=1 or its caller asked for."""

    def asked(*words):
        parser = argparse.ArgumentParser()
        common.add_plain_argument(parser)
        return parser.parse_args(words).plain

    assert (asked(), asked("--plain")) == (False, True)
    with plain():
        assert asked()


def test_another_thread_is_not_touched():
    seen = []
    with plain():
        thread = threading.Thread(target=lambda: seen.append(backend.is_plain()))
        thread.start()
        thread.join()
        threads.run(lambda item: seen.append(backend.is_plain()), range(1))
    assert seen == [False, True]


def test_the_threads_of_the_engine_are_in_the_mode_of_their_caller(monkeypatch):
    """The team's threads run in a copy of the caller's context."""
    monkeypatch.setattr(threads, "most", lambda: 3)
    threads._team.cache_clear()
    seen, barrier = [], threading.Barrier(3)

    def work(item):
        barrier.wait(10)
        seen.append(backend.is_plain())

    with plain():
        threads.run(work, range(3))
    threads._team().close()
    threads._team.cache_clear()
    assert seen == [True] * 3


# --- the files a reader steps through ---------------------------------------------------------------------------


def visited(work):
    """The files of the package from which a function runs during work()."""
    files = set()

    def trace(frame, event, argument):
        files.add(frame.f_code.co_filename)

    sys.setprofile(trace)
    try:
        work()
    finally:
        sys.setprofile(None)
    return sorted(str(Path(f).relative_to(PACKAGE)) for f in files if Path(f).is_relative_to(PACKAGE))


def step(name, options, size):
    """Forward, loss, backward and an SGD step of a network, as a function without arguments."""
    net, rng = models.build(name, 5, **options), np.random.default_rng(0)
    optimizer = SGD(net, 1e-3, 0.9, 5e-4)
    x, labels = rng.normal(size=(2, 3, *size)).astype(np.float32), rng.integers(0, 5, (2, *size))
    labels[:, :3] = 255

    def work():
        net.zero_grad()
        loss, dscores = ops.softmax_cross_entropy(net(x), labels)
        net.backward(dscores)
        optimizer.step()
        assert np.isfinite(loss)

    return work


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [("mini_fcn8s", {"width": 4}, (64, 53)), ("fcn8s", {"width": 2, "dropout": 0.5}, (33, 40))],
)
def test_few_files_are_visited(name, options, size):
    work = step(name, options, size)
    with plain():
        files = visited(work)
    assert len(files) <= MOST_FILES, files
    assert not [file for file in files if file.startswith(("engine", "kernels"))]
    assert len(visited(work)) > len(files)


# --- the same numbers -------------------------------------------------------------------------------------------


def close(actual, expected, tolerance):
    bound = tolerance * max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound)


@pytest.mark.parametrize("name", OPS)
def test_every_op(name):
    """Forward and backward in float64, in every configuration of the gradient table."""
    make, configurations = OPS[name]
    for number, options in enumerate(configurations):
        answers = []
        for mode in (True, False):
            rng = np.random.default_rng(number)
            forward, backward, inputs = make(rng, **options)
            with plain(mode):
                y = forward(*inputs)
                dy = np.random.default_rng(1).normal(size=np.shape(y))
                gradients = backward(dy, *inputs)
            gradients = gradients if isinstance(gradients, tuple) else (gradients,)
            answers.append([np.asarray(array) for array in (y, *gradients) if array is not None])
        for by_engine, by_plain in zip(answers[1], answers[0], strict=True):
            close(by_engine, by_plain, 1e-10)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name):
    make, configurations = LAYERS[name]
    for number, options in enumerate(configurations):
        answers = []
        for mode in (True, False):
            layer, x = make(np.random.default_rng(number), **options)
            rng = np.random.default_rng(2)
            for array in layer.params.values():
                array[...] = rng.normal(size=array.shape)
            with plain(mode):
                y = layer.forward(*x) if isinstance(x, tuple) else layer.forward(x)
                dx = layer.backward(rng.normal(size=y.shape))
            answers.append([y, *(dx if isinstance(dx, tuple) else (dx,)), *layer.grads.values()])
        for by_engine, by_plain in zip(*answers[::-1], strict=True):
            close(by_engine, by_plain, 1e-10)


@pytest.mark.parametrize(
    ("name", "options"),
    [("mini_fcn8s", {"width": 4, "dropout": 0.3}), ("mini_fcn16s", {"width": 4, "upsampling": "all_learned"})],
)
def test_fifty_training_steps(name, options):
    """Compares losses, weights, velocities and the generator's state. Some pixels are ignored, and batches are cut."""
    ends = []
    for mode in (True, False):
        with plain(mode):
            model = models.build(name, 4, seed=3, dtype=np.float64, **options)
            data = datasets.build("shapes", split="train", count=40, size=(64, 96), seed=1)
            batches = datasets.Batches(data, 6, model.transform, seed=2)
            trainer = Trainer(model, SGD(model, 0.02, 0.9, 5e-4), _inside(batches, 4))
            trainer.run(50, progress=False)
            ends.append((trainer.losses, model.state_dict(), trainer.optimizer.state_dict()))
            ends[-1] += ({name: g.bit_generator.state for name, g in model.generators().items()},)
    (plain_losses, plain_weights, plain_velocity, plain_states), (losses, weights, velocity, states) = ends
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-10)
    assert losses[-1] < losses[0]
    for ours, theirs in ((weights, plain_weights), (velocity, plain_velocity)):
        for key, expected in theirs.items():
            close(ours[key], expected, 1e-10)
    assert states == plain_states


def _inside(batches, num_classes):
    """The same batches. Labels beyond the network's classes are ignored."""
    for x, labels in batches:
        yield x.astype(np.float64), np.where(labels < num_classes, labels, 255)


def test_float32_differs_by_rounding_only():
    """Winograd's convolution rounds differently. This shows that the test compares two programs."""
    rng = np.random.default_rng(0)
    x, weight = (rng.normal(size=s).astype(np.float32) for s in ((1, 64, 40, 36), (64, 64, 3, 3)))
    by_engine = ops.conv2d(x, weight, padding=1)
    with plain():
        by_plain = ops.conv2d(x, weight, padding=1)
    assert by_plain.dtype == np.float32
    assert not np.array_equal(by_engine, by_plain)
    close(by_engine, by_plain, 1e-5)


def test_nothing_of_the_engine_is_called(monkeypatch):
    """Every function of the engine that ops could call is replaced by one that raises."""

    def trap(*_, **__):
        raise AssertionError("the engine was called inside plain()")

    for name in engine.__all__:
        if name != "gpu":
            monkeypatch.setattr(engine, name, trap)
    monkeypatch.setattr(kernels, "skip", trap)
    with plain():
        step("mini_fcn8s", {"width": 4}, (64, 53))()
    with pytest.raises(AssertionError, match="inside plain"):
        step("mini_fcn8s", {"width": 4}, (64, 53))()


def test_the_metrics_call_no_kernel(xp, monkeypatch):
    """On a GPU they do outside: one kernel counts there."""
    monkeypatch.setattr(kernels, "confusion_matrix", None)
    labels, predictions = xp.asarray(np.array([[0, 1, 255]])), xp.asarray(np.array([[0, 2, 1]]))
    with plain():
        matrix = ConfusionMatrix(3).update(labels, predictions).matrix
    assert matrix.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    if xp is not np:
        with pytest.raises(TypeError):
            ConfusionMatrix(3).update(labels, predictions)


# --- the size of the plain code ---------------------------------------------------------------------------------


def _functions(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            has_docstring = ast.get_docstring(node) is not None
            docstring = node.body[0].end_lineno - node.body[0].lineno + 1 if has_docstring else 0
            yield node.name, node.end_lineno - node.lineno + 1 - docstring


def _code_lines(path):
    """Lines of code: without docstrings, comments and blank lines."""
    source = path.read_text(encoding="utf-8")
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(node) is not None:
            docstrings |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(source.splitlines(), start=1)
    return sum(1 for number, line in lines if number not in docstrings and line.strip() and line.strip()[0] != "#")


PLAIN = [path for path in sorted((PACKAGE / "ops").glob("*.py")) if not path.stem.startswith("loops")]


def test_the_plain_code_is_short():
    assert sum(map(_code_lines, PLAIN)) <= 900


@pytest.mark.parametrize("path", sorted((PACKAGE / "ops").glob("*.py")), ids=lambda path: path.stem)
def test_no_function_of_ops_is_long(path):
    for name, lines in _functions(path):
        assert lines <= 40, name
