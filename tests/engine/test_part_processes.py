"""Parts of a batch that other processes compute: the same bits, and nothing left behind."""

import gc
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from arrays import refuses

from fcn_from_scratch import models, plain
from fcn_from_scratch.engine import channel, loss_shares, micro_batches, part_processes, threads
from fcn_from_scratch.layers import Conv2d, Dropout, ReLU, Sequential
from fcn_from_scratch.training import SGD, Trainer
from fcn_from_scratch.training.objective import Objective

from .test_micro_batches import OPTIONS, WEIGHTS, Centred, Pictures, cut, end_of, trainer  # noqa: F401  cut: a fixture

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="processes are used on Linux only")


@pytest.fixture
def by_processes(cut, monkeypatch):  # noqa: F811
    """A function that starts processes for a trainer, by default two.

    Returns: (the trainer, a list of the processes that gave the answers).
    """
    monkeypatch.setattr(threads, "most", lambda: 3)
    monkeypatch.setattr(part_processes, "START_AFTER", np.inf)
    monkeypatch.delenv("FCN_PROCESSES", raising=False)
    threads._team.cache_clear()
    without_others(monkeypatch)
    original = part_processes.Crew._take
    answers = []

    def take(self, process):
        number = process.parts[0]
        original(self, process)
        answers.append(process.id if self._answers[number] else None)

    monkeypatch.setattr(part_processes.Crew, "_take", take)

    def start(run, count=2):
        found = run.start_processes(np.empty((5, 3, 33, 38), np.float32))
        assert len(found) == count
        return run, answers

    yield start
    threads._team().close()
    threads._team.cache_clear()


class Own(ReLU):
    """A reader's own layer, which a process could import."""

    per_picture = True


def without_others(monkeypatch):
    """No processes of a trainer that another test has left, not even of one that somebody still holds."""
    gc.collect()
    monkeypatch.setattr(part_processes, "_current", lambda: None)


def alone(monkeypatch):
    """No threads and no processes from here on, not even those that run already."""
    monkeypatch.setattr(threads, "most", lambda: 1)
    monkeypatch.setenv("FCN_PROCESSES", "0")
    monkeypatch.setattr(part_processes._PartProcess, "begin", None)


def has_ended(process):
    """Whether a process ends within ten seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z" and os.getppid() != process:  # it has ended; whoever adopted it has not looked yet
            return True
        time.sleep(0.02)
    return False


CASES = [("mini_fcn8s", options) for options in OPTIONS.values()]
CASES += [("mini_fcn8s_two_heads", {"class_weight": WEIGHTS}), ("mini_fcn32s_late_fusion", {}), ("mini_unpool", {})]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_processes_change_no_bit(name, options, by_processes, monkeypatch):
    """Losses, weights and generators after four steps in float32, with dropout, momentum and odd batches."""
    run, answers = by_processes(trainer(name, np.float32, **options))
    found = end_of(run)
    sent = [2, 1, 1] * 3  # the parts of batches of 5, 4 and 3 pictures, but the first of each
    assert len(answers) == sum(sent[: 4 * options.get("iter_size", 1)])
    assert None not in answers
    assert len(set(answers)) == 2
    alone(monkeypatch)
    np.testing.assert_equal(found, end_of(trainer(name, np.float32, **options)))


class TestPartsAhead:
    """With one process besides this one."""

    @pytest.fixture
    def one_process(self, by_processes, monkeypatch):
        monkeypatch.setattr(threads, "most", lambda: 2)
        threads._team.cache_clear()
        return by_processes(trainer(dtype=np.float32), 1)

    def test_a_process_has_its_next_part_before_it_answers(self, one_process, monkeypatch):
        """Of three parts it gets the last two, before the first one is computed here. Until then it is stopped."""
        run, answers = one_process
        (process,) = run._micro_batches._processes.ids()
        os.kill(process, signal.SIGSTOP)  # so the second request is there before the first one is read
        events, original, begin = [], Objective.loss, part_processes.Crew.begin

        def loss(*rest):
            events.append("here")
            os.kill(process, signal.SIGCONT)
            return original(*rest)

        monkeypatch.setattr(Objective, "loss", loss)
        monkeypatch.setattr(
            part_processes.Crew,
            "begin",
            lambda self, number, *rest: events.append(number) or begin(self, number, *rest),
        )
        found = end_of(run, 1)
        assert events == [2, 1, "here"]
        assert answers == [answers[0]] * 2
        assert answers[0] is not None
        monkeypatch.setattr(Objective, "loss", original)
        alone(monkeypatch)
        np.testing.assert_equal(found, end_of(trainer(dtype=np.float32), 1))

    def test_a_process_that_ends_with_two_parts(self, one_process, monkeypatch):
        """It is not asked again for the second. Both are computed here, and the next step needs no process."""
        run, answers = one_process
        (process,) = run._micro_batches._processes.ids()
        os.kill(process, signal.SIGSTOP)  # so that it cannot answer before it ends
        original, receive, asked = Objective.loss, channel.Channel.receive, []
        monkeypatch.setattr(Objective, "loss", lambda *rest: os.kill(process, signal.SIGKILL) or original(*rest))
        monkeypatch.setattr(channel.Channel, "receive", lambda self: asked.append(1) or receive(self))
        loss = run.step()
        assert asked == [1]
        assert answers == [None, None]
        assert run._micro_batches._by_threads
        assert has_ended(process)
        monkeypatch.setattr(Objective, "loss", original)
        found = end_of(run)
        alone(monkeypatch)
        other = trainer(dtype=np.float32)
        assert other.step() == loss
        np.testing.assert_equal(found, end_of(other))

    @pytest.mark.parametrize("name", ["send", "receive"])
    def test_an_interrupted_message_is_no_answer_to_another_part(self, name, one_process, monkeypatch):
        """Ctrl-C right after the part ahead was sent, or an answer was read, but before this is known here."""
        monkeypatch.setattr(part_processes, "LONGEST", 30.0)
        run, _ = one_process
        losses = [run.step()]
        original = getattr(channel.Channel, name)

        def interrupted(self, *arguments, keep=None):
            found = original(self, *arguments) if name == "receive" else original(self, *arguments, keep)
            if name == "receive" or keep:
                monkeypatch.setattr(channel.Channel, name, original)  # once
                raise KeyboardInterrupt
            return found

        states = [g.bit_generator.state for g in run.model.generators().values()]
        batches = run.batches.order
        run.batches.order = itertools.repeat(run.batches.batches[0])  # of three parts
        monkeypatch.setattr(channel.Channel, name, interrupted)
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run.step()
        assert time.monotonic() - begin < 20, "nobody waits for an answer that does not come"
        run.batches.order = batches
        for generator, state in zip(run.model.generators().values(), states):
            generator.bit_generator.state = state
        assert run._micro_batches._processes.ids() == []
        losses += [run.step() for _ in range(3)]
        alone(monkeypatch)
        other = trainer(dtype=np.float32)
        np.testing.assert_equal(losses, [other.step() for _ in range(4)])

    @pytest.mark.parametrize(("answers_after", "takes"), [(1, [9, 8, 7, 6, 5]), (3, [9, 8, 7]), (99, [9, 8])])
    def test_whoever_is_faster_takes_more_parts(self, answers_after, takes):
        """The process answers after `answers_after` parts were computed here. Each part is computed once."""

        class Crew:
            def __init__(self):
                self.has, self.given, self.clock = [], [], 0

            def look(self):
                while self.has and self.clock - self.has[0][1] >= answers_after:
                    self.has.pop(0)
                    self.has = [(number, self.clock) for number, _ in self.has]  # it begins the next part now

            def begin(self, number):
                if len(self.has) == part_processes.AHEAD:
                    return False
                self.has.append((number, self.clock))
                self.given.append(number)
                return True

            def end(self, number):
                return None if number == 8 else f"there {number}"

        def compute(number):
            assert done[number] is None
            done[number] = f"here {number}"
            crew.clock += 1

        crew, done = Crew(), [None] * 10
        micro_batches._share(done, crew, crew.begin, compute)
        assert crew.given == takes
        there = set(takes) - {8}  # which could not be computed there
        assert done == [f"{'there' if number in there else 'here'} {number}" for number in range(10)]


def test_maps_of_many_blocks(monkeypatch):
    """A process cuts sums and products as a thread does."""
    monkeypatch.setattr(threads, "most", lambda: 2)
    monkeypatch.delenv("FCN_PROCESSES", raising=False)
    threads._team.cache_clear()
    without_others(monkeypatch)
    rng = np.random.default_rng(3)
    batch = rng.standard_normal((6, 3, 80, 80)).astype(np.float32), rng.integers(0, 6, (6, 80, 80))

    def made():
        model = models.build("mini_fcn8s", 6, seed=1)
        return Trainer(model, SGD(model, 0.01, 0.9), iter([batch] * 3))

    run = made()
    assert len(run.start_processes(batch[0])) == 1
    found = end_of(run, 3)
    assert len(run._micro_batches._processes.ids()) == 1
    threads._team().close()
    threads._team.cache_clear()
    alone(monkeypatch)
    np.testing.assert_equal(found, end_of(made(), 3))


def test_a_process_sees_what_has_changed(by_processes, monkeypatch):
    """A frozen trunk, class weights, a new rate of dropout, another dtype and another layer, between the steps."""

    def ends(run):
        found = [run.step()]
        run.model.freeze_trunk()
        run.class_weight = WEIGHTS
        found.append(run.step())
        for layer in loss_shares.dropouts(run.model):
            layer.p = 0.1
        found.append(run.step())
        run.model.eval()
        for layer in run.model.train().children.values():
            layer.workspace = None
        run.model.astype(np.float64)
        run.optimizer = SGD(run.model, 0.01)
        found.append(run.step())
        run.model.children["dropout6"] = Dropout(0.7, rng=np.random.default_rng(11))
        return [*found, *end_of(run)]

    run, answers = by_processes(trainer(dtype=np.float32))
    found = ends(run)
    assert len(answers) > 8
    assert None not in answers
    alone(monkeypatch)
    np.testing.assert_equal(found, ends(trainer(dtype=np.float32)))


def test_plain_code_in_the_environment_does_not_reach_a_process(by_processes, monkeypatch):
    """A process would round differently by the plain code."""
    monkeypatch.setenv("FCN_PLAIN", "1")
    run, answers = by_processes(trainer(dtype=np.float32))
    with plain(False):
        found = end_of(run)
        assert answers
        alone(monkeypatch)
        np.testing.assert_equal(found, end_of(trainer(dtype=np.float32)))


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_a_process_that_was_stopped_costs_nothing(sent, by_processes, monkeypatch):
    """Nothing but time, if it does not even end."""
    monkeypatch.setattr(part_processes, "LONGEST", 2.0)
    run, answers = by_processes(trainer(dtype=np.float32))
    losses = [run.step()]
    ids = run._micro_batches._processes.ids()
    for process in ids:
        os.kill(process, sent)
    found = end_of(run)
    assert answers[2:] == [None] * len(answers[2:]), "of the second step, which has two parts, one was sent"
    assert len(answers) <= 3
    assert len(run._micro_batches._processes.ids()) == 1
    alone(monkeypatch)
    other = trainer(dtype=np.float32)
    np.testing.assert_equal(losses, [other.step()])
    np.testing.assert_equal(found, end_of(other))


def test_processes_are_used_as_far_as_they_are_allowed(by_processes, monkeypatch):
    """Also after they were started: none with FCN_PROCESSES=0, and with fewer threads fewer processes."""
    run, answers = by_processes(trainer(dtype=np.float32))
    monkeypatch.setenv("FCN_PROCESSES", "0")
    run.step()
    assert answers == []
    monkeypatch.delenv("FCN_PROCESSES")
    monkeypatch.setattr(threads, "most", lambda: 2)
    run.batches.order = itertools.repeat(run.batches.batches[0])  # of three parts
    run.step()
    assert len(answers) == 2
    assert len(set(answers)) == 1
    assert len(run._micro_batches._processes.ids()) == 2


def test_one_process_of_many_is_missing(by_processes, monkeypatch):
    """The others go on. If most are missing, threads use more cores."""
    monkeypatch.setattr(threads, "most", lambda: 5)
    threads._team.cache_clear()
    run, answers = by_processes(trainer(dtype=np.float32), 4)
    free = run._micro_batches._processes._free
    run._micro_batches._processes._free = free[2:]
    run.step()
    assert answers
    answers.clear()
    run._micro_batches._processes._free = free[3:]
    run.step()
    assert answers == []


def test_a_process_that_would_round_in_another_way_takes_no_part(by_processes, monkeypatch):
    monkeypatch.setattr(threads, "blas_kernel", lambda: "OpenBLAS of another processor")
    monkeypatch.setattr(micro_batches, "PATIENCE", 20.0)
    by_processes(trainer(dtype=np.float32), count=0)


def test_what_is_printed_at_its_start_is_no_answer(by_processes, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("print('The first letter is an opcode of pickle', flush=True)\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    run, answers = by_processes(trainer(dtype=np.float32))
    run.step()
    assert None not in answers


def test_many_open_files(by_processes):
    """A number of a file above 1023, which select() does not take."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2000:
        pytest.skip(f"at most {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        run, answers = by_processes(trainer(dtype=np.float32))
        run.step()
        assert answers
        assert None not in answers
    finally:
        for number in held:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_that_cannot_start_leaves_no_file_open(by_processes, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    before = len(os.listdir("/proc/self/fd"))
    by_processes(trainer(dtype=np.float32), count=0)
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_cannot_be_sent_stays_here(by_processes, monkeypatch):
    """A layer with a function in it cannot be pickled, and what a user wrote may be unknown to the process."""
    run, answers = by_processes(trainer(dtype=np.float32))
    run.model.hook = lambda: None
    found = end_of(run)
    assert answers == []
    assert run._micro_batches._by_threads
    own = Sequential(Conv2d(3, 6, 3, padding=1), Own())
    other = Trainer(own, SGD(own, 0.1), Pictures(dtype=np.float32))
    end_of(other)
    assert answers == []
    alone(monkeypatch)
    np.testing.assert_equal(found, end_of(trainer(dtype=np.float32)))


def test_an_error_here_leaves_no_answer_behind(by_processes, monkeypatch):
    """The first part fails while the others are computed. The next step gets its own answers."""

    def ends(run):
        original = Objective.loss
        found = [run.step()]
        for error in (KeyboardInterrupt, MemoryError):

            def fail(*_, error=error):
                raise error

            states = [g.bit_generator.state for g in run.model.generators().values()]
            monkeypatch.setattr(Objective, "loss", fail)
            with pytest.raises(error):
                run.step()
            monkeypatch.setattr(Objective, "loss", original)
            for generator, state in zip(run.model.generators().values(), states):
                generator.bit_generator.state = state
        return [*found, *end_of(run)]

    run, answers = by_processes(trainer(dtype=np.float32))
    found = ends(run)
    assert len(answers) >= 9
    assert None not in answers
    alone(monkeypatch)
    np.testing.assert_equal(found, ends(trainer(dtype=np.float32)))


def test_wrong_labels_are_named(by_processes):
    run, answers = by_processes(trainer())
    x, labels = next(run.batches)
    labels[4, 0, :6] = 77
    run.batches = iter([(x, labels)])
    with refuses("labels contain the id 77 ("):
        run.step()
    assert None in answers


def test_processes_end_with_their_last_trainer(by_processes):
    run, _ = by_processes(trainer(dtype=np.float32))
    other = trainer(dtype=np.float32)
    ids = run._micro_batches._processes.ids()
    del run
    gc.collect()
    assert other._micro_batches._processes.ids() == ids
    other.step()
    del other
    gc.collect()
    assert all(map(has_ended, ids))


@pytest.mark.parametrize(
    ("cores", "variable", "after", "begun"),
    [(2, None, -1.0, True), (1, None, -1.0, False), (2, "0", -1.0, False), (2, None, 1e9, False)],
)
def test_when_processes_start(cores, variable, after, begun, cut, monkeypatch):  # noqa: F811
    monkeypatch.setattr(threads, "most", lambda: cores)
    monkeypatch.setattr(part_processes, "START_AFTER", after)
    monkeypatch.setattr(part_processes, "_PartProcess", lambda work: Started())
    monkeypatch.delenv("FCN_PROCESSES", raising=False)
    if variable is not None:
        monkeypatch.setenv("FCN_PROCESSES", variable)
    without_others(monkeypatch)
    run = trainer(dtype=np.float32)
    end_of(run)
    assert len(run._micro_batches._processes._starting) == begun


class Started:
    """A process that never becomes ready."""

    def is_ready(self):
        return False


SCRIPT = """
import os, signal, sys, threading, time
import numpy as np
from fcn_from_scratch import layers
from fcn_from_scratch.engine import micro_batches, part_processes, threads
from fcn_from_scratch.training import SGD, Trainer
threads.most, part_processes.START_AFTER, micro_batches.LEAST_PIXELS = (lambda: 2), 0.0, 1
class Batches:
    def __next__(self):
        return np.ones((4, 3, 32, 32), np.float32), np.zeros((4, 32, 32), int)
net = layers.Sequential(layers.Conv2d(3, 8, 3, padding=1), layers.ReLU(), layers.Conv2d(8, 4, 1))
run = Trainer(net, SGD(net, 0.1), Batches())
run.step()
own = run._micro_batches._processes
while not own.ids():
    run.step()
print(*own.ids(), flush=True)
"""
ENDS = {
    "it ends": ("run.step()", 0, ""),
    "it is killed": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
    "Ctrl-C": (
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whoever runs the tests may ignore it
        "threading.Timer(0.2, lambda: os.killpg(0, signal.SIGINT)).start()\nwhile True: run.step()",
        -signal.SIGINT,
        "KeyboardInterrupt",
    ),
    "it ends in an error": ("run.step(); 1 / 0", 1, "ZeroDivisionError"),
    "a fork of it ends": ("if os.fork() == 0: run.step(); sys.exit()\nos.wait(); assert own.ids(); run.step()", 0, ""),
}


@pytest.mark.parametrize("case", ENDS)
def test_the_end_of_a_program(case):
    """A script without `if __name__ == "__main__"`, with all of Python's warnings on. Nothing of it stays."""
    end, status, last = ENDS[case]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONWARNINGS": "error"}
    environment.pop("FCN_PROCESSES", None)
    command = [sys.executable, "-X", "dev", "-c", f"{SCRIPT}\n{end}"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, start_new_session=True, check=False
    )
    assert done.returncode == status, done.stderr
    assert done.stderr.strip().rpartition("\n")[2].startswith(last), done.stderr
    assert bool(done.stderr) == bool(last), done.stderr
    assert done.stderr.count("Traceback") == bool(last), done.stderr
    ids = done.stdout.split()
    assert len(ids) == 1
    assert all(map(has_ended, ids))


def test_a_sender_does_not_wait_for_the_receiver():
    """Two requests with more pickled bytes than a pipe holds. Nobody reads before both are sent."""
    block, (reading, writing) = os.memfd_create("test"), os.pipe()
    with os.fdopen(writing, "wb") as to, os.fdopen(reading, "rb", buffering=0) as source:
        sender, receiver = channel.Channel(to, block), channel.Channel(source, block)
        requests = [{"words": str(number) * 300_000, "numbers": np.full(9, number)} for number in (1, 2)]
        for number, request in enumerate(requests):
            sender.send(request, keep=number)
        received = [receiver.receive(), receiver.receive()]
        np.testing.assert_equal(received, requests)
    os.close(block)


def test_messages_that_are_still_needed_stay(rng):
    """Messages of random sizes, of which a random number stays. The block holds little more than these."""
    block, (reading, writing) = os.memfd_create("test"), os.pipe()
    with os.fdopen(writing, "wb") as to, os.fdopen(reading, "rb") as source:
        sender, receiver = channel.Channel(to, block), channel.Channel(source, block)
        held = []
        for number in range(300):
            keep = None if number % 50 == 7 else int(rng.integers(min(len(held), 3) + 1))
            held = held if keep is None else held[len(held) - keep :]
            sender.send(np.full(rng.integers(1, 3000), number), keep)
            held.append((receiver.receive(), number))
            for array, value in held:
                assert (array == value).all()
        for _ in range(100):  # as requests are sent, one ahead
            sender.send(np.zeros(100_000), keep=1)
            receiver.receive()
    assert os.fstat(block).st_size < 3 * 100_000 * 8
    os.close(block)


def test_a_channel_says_that_the_sender_has_ended():
    block, (reading, writing) = os.memfd_create("test"), os.pipe()
    with os.fdopen(reading, "rb") as source:
        os.write(writing, b"part of a place")
        os.close(writing)
        with pytest.raises(EOFError, match="has ended"):
            channel.Channel(source, block).receive()
    os.close(block)


def test_a_channel_keeps_memory_order_and_what_is_still_needed(tmp_path):
    """Two messages, of which the second grows the block, through a file in place of a pipe."""
    block = os.memfd_create("test")
    with open(tmp_path / "pipe", "w+b") as writing, open(tmp_path / "pipe", "rb") as reading:
        sender, receiver = channel.Channel(writing, block), channel.Channel(reading, block)
        maps = np.arange(2 * 5 * 6 * 3.0).reshape(2, 5, 6, 3).transpose(0, 3, 1, 2)
        sender.send({"maps": maps, "twice": [maps, maps], "every other": np.arange(10)[::2], "none": np.empty((0, 3))})
        first = receiver.receive()
        assert first["maps"].strides == maps.strides
        assert first["twice"][0] is first["twice"][1] is first["maps"]
        sender.send(np.ones(100_000), keep=1)
        assert receiver.receive().sum() == 100_000
        np.testing.assert_array_equal(first["maps"], maps)
        np.testing.assert_array_equal(first["every other"], np.arange(10)[::2])
        assert first["none"].shape == (0, 3)
        sender.send(np.zeros(60))
        assert not np.array_equal(first["maps"], maps), "the memory is used again"
    os.close(block)


def test_a_layer_of_the_batch_is_not_sent(by_processes):
    model = Sequential(Conv2d(3, 6, 3, padding=1), Centred(name="own"))
    run = Trainer(model, SGD(model, 0.1), Pictures(dtype=np.float32))
    assert run.start_processes(np.empty((5, 3, 33, 38), np.float32)) == []
    assert micro_batches.MicroBatches(model).uncut.startswith("Centred 'own'")
