"""Checkpoints: resuming bit for bit, being killed at any moment, and refusing what does not fit."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from textwrap import dedent

import numpy as np
import pytest
from arrays import refuses
from cli_runs import SAMPLE, log_of

from fcn_from_scratch import datasets, files, models
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.training import SGD, Trainer, checkpoint
from fcn_from_scratch.weights import trust


def rewrite(path, change=None, meta=None):
    """Write the archive again after change(arrays) and meta(values), which may also return other values.

    It gets no digest, as in the files of an older version.
    """
    with np.load(path) as archive:
        arrays = dict(archive)
    del arrays["digest"]
    if change is not None:
        change(arrays)
    if meta is not None:
        old = json.loads(arrays["meta"].tobytes())
        new = meta(old)
        arrays["meta"] = np.frombuffer(json.dumps(old if new is None else new).encode(), np.uint8)
    np.savez(path, **arrays)


@pytest.fixture
def saved(new_run, tmp_path):
    """(path, run): a run of three steps and its checkpoint."""
    run = new_run().run(3, progress=False)
    checkpoint.save(tmp_path / "run.npz", run, {"note": [1, "two"]})
    return tmp_path / "run.npz", run


class TestRoundTrip:
    def test_everything_comes_back(self, saved, new_run, state_of):
        path, run = saved
        other = new_run(seed=3)
        assert checkpoint.load(path, other) == {"note": [1, "two"]}
        assert other.batches.seed == 0
        np.testing.assert_equal(state_of(other), state_of(run))

    def test_the_file_in_plain_numpy(self, saved):
        path, run = saved
        with np.load(path, allow_pickle=False) as archive:
            names = set(archive.files) - {"allow_pickle"}
            params = set(run.model.params)
            assert names == {f"{kind}/{n}" for kind in ("model", "velocity") for n in params} | {
                "losses",
                "meta",
                "digest",
            }
            np.testing.assert_array_equal(archive["model/fc6.weight"], run.model.params["fc6.weight"])
            np.testing.assert_array_equal(archive["velocity/fc6.weight"], run.optimizer.velocity["fc6.weight"])
            np.testing.assert_array_equal(archive["losses"], np.array(run.losses, np.float64))
            meta = json.loads(archive["meta"].tobytes())
        assert (meta["model"], meta["steps"]) == ("mini_fcn8s", 3)
        assert meta["options"] == {"num_classes": 6, "width": 2, "dropout": 0.4}

    def test_it_is_a_copy(self, saved, new_run):
        """What is loaded lives on by itself, and the file does not change."""
        path, run = saved
        content = path.read_bytes()
        one, two = new_run(), new_run()
        checkpoint.load(path, one)
        one.run(5, progress=False)
        checkpoint.load(path, two)
        np.testing.assert_array_equal(two.model.params["fc6.weight"], run.model.params["fc6.weight"])
        assert path.read_bytes() == content

    def test_before_the_first_step(self, new_run, tmp_path, state_of):
        run = new_run()
        checkpoint.save(tmp_path / "new.npz", run)
        other = new_run(seed=1)
        assert checkpoint.load(tmp_path / "new.npz", other) == {}
        np.testing.assert_equal(state_of(other), state_of(run))

    def test_saved_in_the_middle_of_an_epoch(self, saved):
        _, run = saved
        assert run.batches.state_dict()["position"] not in (0, 10), "else the tests below would test little"


class TestResume:
    @pytest.mark.parametrize("first", [0, 5, 11])
    def test_bit_for_bit(self, new_run, tmp_path, state_of, first):
        whole = new_run().run(12, progress=False)
        part = new_run().run(first, progress=False)
        checkpoint.save(tmp_path / "part.npz", part)
        # another seed for weights, dropout and batches: all of that has to come from the file
        rest = new_run(seed=99)
        checkpoint.load(tmp_path / "part.npz", rest)
        rest.run(12, progress=False)
        assert len(rest.losses) == 12
        np.testing.assert_equal(state_of(rest), state_of(whole))

    def test_a_rate_that_falls_goes_on_falling(self, new_run, tmp_path, state_of):
        def run():
            return new_run(lr=lambda step: 0.05 / (1 + step))

        whole, part = run().run(6, progress=False), run().run(4, progress=False)
        checkpoint.save(tmp_path / "part.npz", part)
        rest = run()
        checkpoint.load(tmp_path / "part.npz", rest)
        np.testing.assert_equal(state_of(rest.run(6, progress=False)), state_of(whole))

    def test_saving_disturbs_nothing(self, new_run, tmp_path, state_of):
        quiet, saving = new_run().run(4, progress=False), new_run()
        saving.run(4, progress=False, save=lambda: checkpoint.save(tmp_path / "c.npz", saving), save_seconds=0)
        np.testing.assert_equal(state_of(saving), state_of(quiet))

    def test_in_another_process(self, new_run, tmp_path):
        whole = new_run().run(8, progress=False)
        part = new_run().run(5, progress=False)
        checkpoint.save(tmp_path / "part.npz", part)
        script = f"""
            from fcn_from_scratch import datasets, models
            from fcn_from_scratch.training import SGD, Trainer, checkpoint

            model = models.build("mini_fcn8s", 6, seed=4, width=2, dropout=0.4)
            changes = (datasets.RandomScale(0.8, 1.25), datasets.RandomCrop((24, 32)), datasets.RandomFlip())
            scenes = datasets.Shapes(10, 32, seed=5, classes_by="colour")
            batches = datasets.Batches(scenes, 3, model.transform, datasets.Compose(changes), 4)
            run = Trainer(model, SGD(model, 0.02, 0.9, 5e-4), batches)
            checkpoint.load({str(tmp_path / "part.npz")!r}, run)
            run.run(8, progress=False)
            checkpoint.save({str(tmp_path / "rest.npz")!r}, run)
            """
        subprocess.run([sys.executable, "-c", dedent(script)], check=True, timeout=120)
        arrays, meta = checkpoint.read(tmp_path / "rest.npz")
        assert meta["steps"] == 8
        for name, w in whole.model.params.items():
            np.testing.assert_array_equal(arrays[f"model/{name}"], w, name)
            np.testing.assert_array_equal(arrays[f"velocity/{name}"], whole.optimizer.velocity[name], name)
        assert arrays["losses"].tolist() == whole.losses


posix = pytest.mark.skipif(os.name != "posix", reason="signals, forks and permissions of POSIX")


class TestKilled:
    @posix
    @pytest.mark.slow
    def test_a_run_killed_again_and_again_ends_as_if_nothing_had_happened(self, tmp_path):
        """Dropout, shuffled epochs and random crops; each process is killed -9 at some moment."""
        steps = 100
        command = [sys.executable, "-m", "fcn_from_scratch", "train", "--dataset", "voc", "--model", "mini_fcn8s"]
        command += f"--root {SAMPLE} --width 2 --dropout 0.4 --crop 32x32 --steps {steps} --val-every 7".split()
        command += ["--save-seconds", "0", "--seed", "2"]
        moments = random.Random(0)
        kills, seen = 0, []
        with open(tmp_path / "log", "w+", encoding="utf-8") as log:
            for _ in range(12):
                path = tmp_path / "killed" / "checkpoint.npz"
                arguments = [*command, "--out", str(tmp_path / "killed"), *(["--resume"] if path.exists() else [])]
                process = subprocess.Popen(arguments, stdout=log, stderr=log)
                before = path.stat().st_mtime_ns if path.exists() else 0
                while kills < 3 and process.poll() is None:
                    if path.exists() and path.stat().st_mtime_ns != before:  # it trains: any moment will do
                        time.sleep(moments.uniform(0, 0.1))
                        process.kill()
                        break
                    time.sleep(0.002)
                status = process.wait(120)
                seen.append(checkpoint.read(path)[1]["steps"])
                if status == 0:
                    break
                log.seek(0)
                assert status == -signal.SIGKILL, log.read()
                kills += 1
        assert kills >= 2, f"steps done when each process ended: {seen}"
        assert seen == sorted(set(seen)), "each process got further"
        assert seen[-1] == steps

        arguments = [*command, "--out", str(tmp_path / "whole")]
        subprocess.run(arguments, check=True, timeout=120, stdout=subprocess.DEVNULL)
        (arrays, meta), (expected, expected_meta) = (
            checkpoint.read(tmp_path / folder / "checkpoint.npz") for folder in ("killed", "whole")
        )
        np.testing.assert_equal(arrays, expected)
        assert meta == expected_meta
        assert log_of(tmp_path / "killed") == log_of(tmp_path / "whole")
        assert (tmp_path / "killed" / "best.npz").read_bytes() == (tmp_path / "whole" / "best.npz").read_bytes()

    @posix
    def test_killed_while_writing(self, new_run, tmp_path):
        """kill -9 at moments of the writing itself leaves the old file or the new one, whole."""
        old, new = new_run().run(1, progress=False), new_run().run(2, progress=False)
        checkpoint.save(tmp_path / "old.npz", old)
        checkpoint.save(tmp_path / "new.npz", new)
        size = (tmp_path / "new.npz").stat().st_size
        script = f"""
            import os, signal, sys
            from pathlib import Path
            from fcn_from_scratch import files

            folder, content = Path({str(tmp_path)!r}), Path({str(tmp_path / "new.npz")!r}).read_bytes()

            def die(*_):
                os.kill(os.getpid(), signal.SIGKILL)

            def write(file, stop=None):
                file.write(content[:stop])
                if stop is not None:
                    file.flush()
                    die()

            def child(name):
                if name.isdigit():
                    files.write_atomically(folder / "run.npz", lambda file: write(file, int(name)))
                real = getattr(os, name.split("-")[1])
                def hook(*arguments):
                    if name.startswith("after"):
                        real(*arguments)
                    die()
                setattr(os, name.split("-")[1], hook)
                files.write_atomically(folder / "run.npz", write)

            for name in sys.argv[1:]:
                (folder / "run.npz").write_bytes((folder / "old.npz").read_bytes())
                if os.fork() == 0:
                    child(name)
                    os._exit(3)
                assert os.WTERMSIG(os.wait()[1]) == signal.SIGKILL
                os.replace(folder / "run.npz", folder / (name + ".npz"))
            """
        moments = ["0", "1", str(size // 2), str(size - 1), "before-fsync", "after-fsync", "before-replace"]
        subprocess.run([sys.executable, "-c", dedent(script), *moments, "after-replace"], check=True, timeout=120)
        for moment in moments:
            assert (tmp_path / f"{moment}.npz").read_bytes() == (tmp_path / "old.npz").read_bytes(), moment
        assert (tmp_path / "after-replace.npz").read_bytes() == (tmp_path / "new.npz").read_bytes()

        litter = list(tmp_path.glob(".run.npz.*.part"))
        assert len(litter) == len(moments), "kill -9 leaves what was being written, under a name of its own"
        checkpoint.save(tmp_path / "run.npz", new)
        resumed = new_run()
        checkpoint.load(tmp_path / "run.npz", resumed)
        assert resumed.steps == 2

    @pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
    def test_interrupted_while_writing(self, saved, error):
        path, _ = saved
        before = path.read_bytes()

        def write(file):
            file.write(b"half")
            raise error

        with pytest.raises(type(error)):
            files.write_atomically(path, write)
        assert path.read_bytes() == before
        assert os.listdir(path.parent) == [path.name], "nothing is left behind"


class TestNoRoom:
    def test_a_full_disk(self, saved, new_run):
        """A limit on the size of files stands for the end of the disk."""
        resource = pytest.importorskip("resource", reason="limits are POSIX's")
        path, run = saved
        before = path.read_bytes()
        run.run(4, progress=False)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                checkpoint.save(path, run)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() == before
        assert os.listdir(path.parent) == [path.name]
        checkpoint.load(path, new_run())

    def test_a_file_where_a_folder_should_be(self, saved):
        path, run = saved
        with pytest.raises(OSError, match=r"exists|Not a directory"):
            checkpoint.save(path / "deeper" / "run.npz", run)
        assert checkpoint.read(path)[1]["steps"] == 3

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
    def test_an_unwritable_folder(self, saved):
        path, run = saved
        before = path.read_bytes()
        path.parent.chmod(0o500)
        try:
            with pytest.raises(PermissionError):
                checkpoint.save(path, run)
        finally:
            path.parent.chmod(0o700)
        assert path.read_bytes() == before

    def test_missing_folders_are_made(self, saved, tmp_path):
        _, run = saved
        checkpoint.save(tmp_path / "a" / "b" / "run.npz", run)
        assert checkpoint.read(tmp_path / "a" / "b" / "run.npz")[1]["steps"] == 3

    @posix
    def test_others_may_read_it(self, saved, tmp_path):
        """As with any file the user makes, the umask decides."""
        _, run = saved
        mask = os.umask(0o027)
        try:
            checkpoint.save(tmp_path / "c.npz", run)
        finally:
            os.umask(mask)
        assert (tmp_path / "c.npz").stat().st_mode & 0o777 == 0o640


def refused(path, run, state_of):
    """The complaint about a file; nothing of the run is changed by it."""
    run.run(run.steps + 1, progress=False)
    before = state_of(run)
    with pytest.raises(InputError) as caught:
        checkpoint.load(path, run)
    np.testing.assert_equal(state_of(run), before)
    message = str(caught.value)
    assert message.startswith(f"{path} ")
    return message


class TestStrict:
    def test_every_difference_is_listed(self, saved, new_run, state_of):
        path, _ = saved

        def change(arrays):
            arrays["model/fc8.weight"] = arrays.pop("model/fc7.weight")
            arrays["model/fc6.bias"] = arrays["model/fc6.bias"][1:]
            arrays["model/score_fr.weight"] = arrays["model/score_fr.weight"].astype(np.float64)
            del arrays["velocity/conv1_1.bias"]
            arrays["velocity/conv2_1.bias"] = arrays["velocity/conv2_1.bias"][None]

        def meta(values):
            values["options"]["dropout"] = 0.5
            values["generators"]["drop8.rng"] = values["generators"].pop("drop7.rng")
            values["generators"]["drop6.rng"]["bit_generator"] = "Dice"
            values["batches"]["batch_size"] = 4

        rewrite(path, change, meta)
        message = refused(path, new_run(), state_of)
        for part in (
            "options are {'num_classes': 6, 'width': 2, 'dropout': 0.4} here",
            "'dropout': 0.5} there",
            "fc7.weight is missing",
            "fc8.weight is unknown",
            "fc6.bias is float32(16,) here, float32(15,) there",
            "score_fr.weight is float32(6, 16, 1, 1) here, float64(6, 16, 1, 1) there",
            "velocity of conv1_1.bias is missing",
            "velocity of conv2_1.bias is float32(4,) here, float32(1, 4) there",
            "generator drop7.rng",
            "generator drop8.rng",
            "the state of generator drop6.rng",
            "batch_size = 4, these have 3",
        ):
            assert part in message

    @pytest.mark.parametrize(
        ("other", "parts"),
        [
            ({"name": "mini_fcn16s"}, ["the model is mini_fcn16s here, mini_fcn8s there", "score_pool3.weight is unk"]),
            ({"width": 3}, ["'width': 3", "fc7.weight is float32(24, 24, 1, 1) here, float32(16, 16, 1, 1) there"]),
            ({"dropout": 0.0}, ["the options are", "'dropout': 0.0"]),
            ({"upsampling": "learned"}, ["upscore2.weight is missing", "velocity of upscore_pool4.weight is missing"]),
            ({"dtype": np.float64}, ["fc7.bias is float64(16,) here, float32(16,) there"]),
            ({"count": 9}, ["the saved batches had samples = 10, these have 9"]),
            ({"batch_size": 2}, ["the saved batches had batch_size = 3, these have 2"]),
        ],
    )
    def test_another_run(self, saved, new_run, state_of, other, parts):
        message = refused(saved[0], new_run(**other), state_of)
        for part in parts:
            assert part in message

    def test_same_names_another_model(self, saved, new_run, state_of):
        """The at-once network has FCN-8s's parameters to the letter; only the name tells them apart."""
        message = refused(saved[0], new_run(name="mini_fcn8s_atonce"), state_of)
        assert message.endswith("the model is mini_fcn8s_atonce here, mini_fcn8s there")

    def test_tuples_in_options_come_back_as_lists(self, new_run, tmp_path):
        options = {"convs": (1, 1, 1, 2, 1)}
        checkpoint.save(tmp_path / "c.npz", new_run(**options).run(1, progress=False))
        run = new_run(**options)
        checkpoint.load(tmp_path / "c.npz", run)
        assert run.steps == 1


class TestWhatIsWrittenCanBeRead:
    @pytest.mark.parametrize(
        "text", ["1\tcar", "feu rouge\u00a0!", "two\nlines", "\x1b[31mred", "\udcff", "", "a" * 4096]
    )
    def test_any_text(self, new_run, tmp_path, text):
        """Names of classes and folders are the user's."""
        extra = {"classes": ["sky", text, *"abcd"], "arguments": {"root": text, "seed": 2**60}}
        checkpoint.save(tmp_path / "c.npz", new_run(), extra)
        assert checkpoint.load(tmp_path / "c.npz", new_run()) == extra

    @pytest.mark.parametrize(
        ("extra", "words"),
        [
            ({"classes": ["a" * 4097]}, "its extra.classes is a list instead of a list of texts of at most 4096"),
            ({"arguments": {"val_every": 10**19}}, "its extra.arguments.val_every is 10000000000000000000 instead of"),
            ({"arguments": {"seed": 2**129}}, "its extra.arguments.seed is 6805647338418769269267492148635364229"),
            ({"arguments": {"seed": -1}}, "its extra.arguments.seed is -1 instead of an integer from 0 to 2^128"),
            ({"best": {"step": 10**400, "mean_iu": 0.5}}, "its extra.best is a dict instead of a step and its mean_iu"),
            ({"best": {"step": 3, "mean_iu": 1.5}}, "its extra.best is a dict instead of a step and its mean_iu"),
        ],
    )
    def test_else_nothing_is_written(self, saved, new_run, extra, words):
        path, _ = saved
        before = path.read_bytes()
        with refuses(f"a checkpoint of this run could not be read back: {words}"):
            checkpoint.save(path, new_run(), extra)
        assert path.read_bytes() == before


class TestNotACheckpoint:
    @pytest.mark.parametrize(
        "change",
        [
            lambda meta: [],
            lambda meta: 5,
            lambda meta: meta | {"format": 2},
            lambda meta: {key: value for key, value in meta.items() if key != "steps"},
            lambda meta: meta | {"steps": -1},
            lambda meta: meta | {"steps": "3"},
            lambda meta: meta | {"options": [6]},
            lambda meta: meta | {"generators": None},
            lambda meta: meta | {"batches": 3},
            lambda meta: meta | {"extra": []},
        ],
    )
    def test_meta(self, saved, new_run, state_of, change):
        path, _ = saved
        rewrite(path, meta=change)
        assert "not a checkpoint of format 1" in refused(path, new_run(), state_of)

    @pytest.mark.parametrize(
        "change",
        [
            lambda arrays: arrays.pop("meta"),
            lambda arrays: arrays.pop("losses"),
            lambda arrays: arrays.update(losses=np.float64(3)),
            lambda arrays: arrays.update(meta=np.arange(5.0)),
            lambda arrays: arrays.update(meta=np.frombuffer(b"{", np.uint8)),
            lambda arrays: arrays.update(meta=np.frombuffer(b"\xff\xfe\xfd", np.uint8)),
            lambda arrays: arrays.update(meta=np.frombuffer(b"[" * 100_000, np.uint8)),
            lambda arrays: arrays.update(meta=np.frombuffer(b"9" * 10_000, np.uint8)),
            lambda arrays: arrays.update(meta=np.zeros(0, np.uint8)),
            lambda arrays: arrays.update(meta=np.full(trust.MOST_JSON + 1, ord(" "), np.uint8)),
        ],
    )
    def test_arrays(self, saved, new_run, state_of, change):
        path, _ = saved
        rewrite(path, change)
        assert "not a checkpoint of format 1" in refused(path, new_run(), state_of)

    @pytest.mark.parametrize(
        "state",
        [
            {},
            {"bit_generator": "PCG64"},
            {"bit_generator": "PCG64", "state": {"state": -1, "inc": 2**200}, "has_uint32": 0, "uinteger": 0},
            {"bit_generator": "PCG64", "state": {"state": "a", "inc": []}, "has_uint32": 0, "uinteger": 0},
            [],
            None,
        ],
    )
    def test_generators(self, saved, new_run, state_of, state):
        path, _ = saved
        rewrite(path, meta=lambda meta: meta["generators"].update({"drop6.rng": state}))
        assert "the state of generator drop6.rng" in refused(path, new_run(), state_of)

    @pytest.mark.parametrize("value", [-1, "0", None, 1.5])
    def test_batches(self, saved, new_run, state_of, value):
        path, _ = saved
        rewrite(path, meta=lambda meta: meta["batches"].update(epoch=value))
        assert "epoch" in refused(path, new_run(), state_of)

    def test_other_files(self, tmp_path, new_run, state_of):
        np.savez(tmp_path / "weights.npz", weight=np.zeros(3))
        assert "not a checkpoint" in refused(tmp_path / "weights.npz", new_run(), state_of)
        (tmp_path / "notes.npz").write_text("hello")
        with refuses("notes.npz: not a sound .npz archive"):
            checkpoint.read(tmp_path / "notes.npz")
        with pytest.raises(FileNotFoundError):
            checkpoint.read(tmp_path / "absent.npz")

    def test_cut_short(self, saved, new_run, state_of):
        path, _ = saved
        whole = path.read_bytes()
        for length in np.linspace(0, len(whole) - 1, 40).astype(int):
            path.write_bytes(whole[:length])
            with refuses("run.npz: not a sound .npz archive"):
                checkpoint.read(path)


def test_a_model_without_name_or_options(tmp_path, given, scenes):
    """What a lesson trains may be a chain of layers that it made itself."""
    from fcn_from_scratch.layers import Conv2d, ReLU, Sequential

    def run():
        layers = Conv2d(3, 4, 3, padding=1, rng=np.random.default_rng(0)), ReLU(), Conv2d(4, 6, 1)
        net = Sequential(*layers)
        return Trainer(net, SGD(net, 0.01), given(scenes(2), np.float32))

    first = run()
    first.run(2, progress=False)
    checkpoint.save(tmp_path / "c.npz", first)
    second = run()
    checkpoint.load(tmp_path / "c.npz", second)
    np.testing.assert_array_equal(second.model.params["2.weight"], first.model.params["2.weight"])
    assert second.batches.position == 2


def test_evaluation_loads_nothing_of_the_optimiser(saved):
    """A checkpoint is also a file of weights."""
    from fcn_from_scratch import weights

    path, run = saved
    model = models.build("mini_fcn8s", 6, width=2, seed=8)
    report = weights.load(model, path)
    assert (report.missing, report.unused) == ([], [])
    scenes = datasets.Shapes(1, 32)
    x = model.transform(scenes[0].image)[None]
    np.testing.assert_array_equal(model.eval()(x), run.model.eval()(x))
