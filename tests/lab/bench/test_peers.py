"""ONNX Runtime and OpenVINO compute the same network from one exported file; a peer that cannot run says why."""

import csv
import importlib.util
import json
import tempfile
from argparse import Namespace
from importlib.metadata import version

import numpy as np
import pytest

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import bench
from fcn_from_scratch.lab.bench import LESSON, Settings, Work, onnx_rival, peers, report, starting
from fcn_from_scratch.lab.bench.measuring import compared
from fcn_from_scratch.lab.bench.processes import Process
from fcn_from_scratch.lab.bench.rivals import RIVALS
from fcn_from_scratch.lab.export import onnx_layers

TINY = ("--model", "mini_fcn8s", "--width", "4", "--size", "32x41", "--repeats", "2", "--threads", 1)
FILES = "onnxruntime", "openvino"


def needs(*names):
    """Skip a test where one of these packages is absent."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is an optional extra: {peers.INSTALL}")


@pytest.fixture
def broken(tmp_path, monkeypatch, hurried):
    """`import openvino` fails, in processes that are started later."""
    folder = tmp_path / "without_its_library"
    folder.mkdir()
    text = 'raise ImportError("libtbb.so.12: cannot open shared object file\\nmore words")\n'
    (folder / "openvino.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(peers, "installed", lambda name: name == "openvino")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "work",
    [
        Work("mini_fcn8s", (33, 50), batch=2, options={"width": 4}),
        Work("fcn_alexnet", (40, 24), options={"width": 4}),
        Work(LESSON, (16, 24), batch=3),
    ],
    ids=lambda work: work.model,
)
def test_the_scores_are_the_networks(work, name, tmp_path):
    needs(name)
    net = work.network("float64").eval()
    truth = net(work.pictures(net).astype("float64"))
    onnx_rival.write(work, tmp_path / "net.onnx")
    with Process(RIVALS[name].make, work, tmp_path / "net.onnx", threads=1) as rival:
        scores, words = rival.ask("scores"), rival.ask("described")
        assert rival.ask("threads") == 1
        rival.ask("run")
        assert np.array_equal(rival.ask("scores"), scores)
    assert scores.shape == truth.shape
    assert scores.dtype == np.float32
    assert np.abs(scores - truth).max() < 1e-5 * np.abs(truth).max()
    assert version(name) in words


def test_settings_are_stated(tmp_path):
    needs(*FILES)
    work = Work(LESSON, (16, 24))
    onnx_rival.write(work, tmp_path / "net.onnx")
    words = {}
    for name in FILES:
        with Process(RIVALS[name].make, work, tmp_path / "net.onnx", threads=2) as rival:
            words[name] = rival.ask("described")
    for part in ("intra_op_num_threads 2", "inter_op_num_threads 1", "sequential", "spinning allowed", "float32"):
        assert part in words["onnxruntime"]
    for part in ("INFERENCE_NUM_THREADS", "INFERENCE_PRECISION_HINT f32", "PERFORMANCE_HINT LATENCY"):
        assert part in words["openvino"]


def test_both_from_the_command_line(fcn, hurried, tmp_path, monkeypatch):
    """One file serves both and is gone afterwards. The fastest peer is the one with the smallest time in the table."""
    needs(*FILES)
    temporary, written = tmp_path / "temporary", []
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    write = onnx_rival.write
    monkeypatch.setattr(onnx_rival, "write", lambda work, path: written.append(path) or write(work, path))
    words = "--peer", "onnxruntime, openvino", "--layers", "--zero-frame", "--out", tmp_path / "b"
    status, out, _ = fcn(*TINY, *words)
    assert status == 0
    assert len(written) == 1
    assert not list(temporary.iterdir())
    with open(tmp_path / "b" / "bench.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    whole = {row["rival"]: row for row in rows if row["part"] == "whole"}
    assert list(whole) == ["fcn", "zero_frame", "one_picture", "onnxruntime", "openvino"]
    assert all(float(row["error"]) < 1e-5 for row in whole.values())
    assert {row["rival"] for row in rows if row["part"] != "whole"} == {"fcn"}
    assert "run whole networks only: ONNX Runtime, OpenVINO" in out
    best = min(FILES, key=lambda name: float(whole[name]["seconds"]))
    says = f"like for like is {RIVALS[best].title}: it takes {float(whole[best]['ratio']):.2f} times our time"
    assert says in out
    lines = [line for line in out.splitlines() if line.startswith(("ONNX Runtime ", "OpenVINO "))]
    assert [version(name) in line for name, line in zip(FILES, lines)] == [True, True]
    value = json.loads((tmp_path / "b" / "bench.json").read_text(encoding="utf-8"))
    assert value["results"][0]["peers"] == lines[:2]
    assert value["results"][0]["absent"] == {}
    assert value["about"]["peers"] == list(FILES)


def test_no_training_step(fcn, hurried, monkeypatch):
    """Of two peers, one is not installed and the other cannot train: a line for each, and im2col in their place."""
    monkeypatch.setattr(peers, "installed", lambda name: name == "onnxruntime")
    status, out, _ = fcn(*TINY, "--train", "--peer", "onnxruntime,openvino")
    assert status == 0
    assert "ONNX Runtime: cannot run: it has no training step" in out
    assert "OpenVINO: cannot run: OpenVINO is not installed; pip install 'fcn_from_scratch[bench]'" in out
    assert "the same by im2col" in out


def test_a_library_that_cannot_be_loaded(fcn, broken, tmp_path):
    status, out, _ = fcn(*TINY, "--peer", "openvino", "--out", tmp_path / "b")
    assert status == 0
    assert "OpenVINO: cannot run: ImportError: libtbb.so.12: cannot open shared object file\n" in out
    assert "fcn_from_scratch " in out
    value = json.loads((tmp_path / "b" / "bench.json").read_text(encoding="utf-8"))
    assert list(value["results"][0]["absent"]) == ["OpenVINO"]


def test_its_process_prints_no_traceback(broken, capfd, tmp_path):
    with pytest.raises(InputError, match=r"^ImportError: libtbb.so.12: cannot open shared object file$"):
        Process(RIVALS["openvino"].make, Work(LESSON, (16, 24)), tmp_path / "net.onnx", threads=1)
    assert capfd.readouterr().err == ""


def test_a_network_that_the_exporter_refuses(fcn, hurried, monkeypatch):
    monkeypatch.setattr(peers, "installed", lambda name: name in FILES)
    for layer in list(onnx_layers.COUNTERPARTS):
        if layer.__name__ == "SkipFusion":
            monkeypatch.delitem(onnx_layers.COUNTERPARTS, layer)
    status, out, _ = fcn(*TINY)
    assert status == 0
    for title in ("ONNX Runtime", "OpenVINO"):
        line = next(line for line in out.splitlines() if line.startswith(f"{title}: cannot run: SkipFusion"))
        assert line.endswith("has no counterpart in ONNX here")


@pytest.mark.torch
def test_a_network_that_pytorch_cannot_compute(fcn, hurried):
    """Then it does not compute the true scores either."""
    needs("torch")
    status, out, _ = fcn("--model", "mini_unpool", *TINY[2:], "--peer", "torch")
    assert status == 0
    for order in ("NCHW", "channels_last"):
        assert f"PyTorch {order}: cannot run: MaxUnpool2d 'unpool5' has no counterpart in PyTorch" in out
    assert "true scores: the same by im2col in float64" in out
    assert "fastest peer" not in out


def test_who_is_asked(monkeypatch):
    """By default all that are installed; for a training step only who can do one; on a GPU only PyTorch."""
    monkeypatch.setattr(peers, "installed", lambda name: name != "openvino")

    def asked(peer=None, device="cpu", train=False):
        return bench._peers(Namespace(peer=peer, device=device), train, None)

    assert asked() == (("torch", "onnxruntime"), {})
    assert asked(()) == ((), {})
    taking_part, absent = asked(train=True)
    assert taking_part == ("torch",)
    assert "training step" in absent["ONNX Runtime"]
    taking_part, absent = asked(("openvino", "torch"))
    assert taking_part == ("torch",)
    assert "not installed" in absent["OpenVINO"]
    taking_part, absent = asked(("onnxruntime",), "cuda")
    assert taking_part == ()
    assert "on the CPU only" in absent["ONNX Runtime"]


@pytest.mark.parametrize(
    ("taking_part", "torch", "judges"),
    [((), True, ("im2col",)), (("openvino",), True, ("torch", "im2col")), (("openvino",), False, ("im2col",))],
)
def test_who_computes_the_truth(monkeypatch, taking_part, torch, judges):
    monkeypatch.setattr("fcn_from_scratch.lab.bench.measuring.installed", lambda name: torch)
    assert Settings(taking_part, "cpu", 1).judges == judges


def test_a_rival_of_ours_must_run():
    settings, absent = Settings(("openvino",), "cpu", 1), {}
    starting.note("openvino", MemoryError("OpenVINO: the process ended"), settings, absent)
    assert absent == {"OpenVINO": "the process ended"}
    with pytest.raises(MemoryError, match="no room"):
        starting.note("fcn", MemoryError("no room"), settings, absent)


def test_the_fastest_peer_in_words():
    samples = {"fcn": [2.0], "zero_frame": [1.0], "torch": [5.0], "openvino": [3.0]}
    like, unlike = report.fastest(compared("whole", samples, 1e9), "cpu")
    assert like == "The fastest peer like for like is OpenVINO: it takes 1.50 times our time."
    assert unlike == 'Not like for like, it takes 3.00 times the time of "the same with the zero frame".'
    assert report.fastest(compared("whole", {"fcn": [2.0], "im2col": [1.0]}, 1e9), "cpu") == []


def test_results_are_told_as_they_come(hurried):
    """After each of two rounds of the whole, at its end, and after each part; only the last one knows the peak."""
    from fcn_from_scratch.lab.bench import measure

    told = []
    settings = Settings((), "cpu", 1, repeats=2, layers=True, progress=False)
    result = measure(Work(LESSON, (16, 24)), settings, told.append)
    assert told[-1] == result._replace(load=None)
    assert [len(each.samples["fcn"]) for each in told[:3]] == [1, 2, 2]
    assert [each.rows[-1].part for each in told[:4]] == ["whole", "whole", "whole", "conv1 forward"]
    assert [each.rows[0].peak_bytes is None for each in told[:3]] == [True, True, False]
