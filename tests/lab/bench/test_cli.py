"""`fcn bench` as a user runs it, and its answers to a user's mistakes."""

import csv
import json

import pytest

from fcn_from_scratch.cli import bench
from fcn_from_scratch.engine import threads
from fcn_from_scratch.lab.bench import peers

TINY = ("--model", "mini_fcn8s", "--width", "4", "--size", "32x41", "--repeats", "2")


def test_without_a_peer(fcn, hurried, monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "installed", lambda name: False)
    status, out, _ = fcn(*TINY, "--layers", "--zero-frame", "--threads", 1, "--out", tmp_path / "b")
    assert status == 0
    assert "No peer takes part" in out
    assert "PyTorch NCHW" not in out
    assert "fastest peer" not in out
    assert "cannot run" not in out  # nobody asked for them
    table = {line.split("  ")[0]: line.split() for line in out.splitlines()}
    assert table["fcn_from_scratch"][-1] == table["the same by im2col"][-1] == "100.000%"
    for name in ("the same with the zero frame", "as fcn segment runs one picture"):
        assert table[name][-5:] == ["100.000%", "not", "like", "for", "like"]
    assert "threads: 1, rounds: 2" in out
    with open(tmp_path / "b" / "bench.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rival"] for row in rows[:4]] == ["fcn", "zero_frame", "one_picture", "im2col"]
    assert {row["rival"] for row in rows[4:]} == {"fcn", "im2col"}
    assert {row["threads"] for row in rows} == {"1"}
    assert [row["like_for_like"] for row in rows[:4]] == ["True", "False", "False", "True"]
    parts = {row["part"] for row in rows}
    assert {"whole", "conv1_1 forward", "conv2_1 input_grad", "score_fr weight_grad"} <= parts
    assert "conv1_1 input_grad" not in parts
    for row in rows:
        ours = next(each for each in rows if each["part"] == row["part"] and each["rival"] == "fcn")
        assert float(row["ratio"]) == pytest.approx(float(row["seconds"]) / float(ours["seconds"]))
    for row in rows[:4]:
        assert float(row["error"]) < 1e-5
        assert int(row["peak_bytes"]) > 10 << 20
    result = json.loads((tmp_path / "b" / "bench.json").read_text(encoding="utf-8"))["results"][0]
    assert [len(seconds) for seconds in result["samples"].values()] == [2] * 4
    assert (tmp_path / "b" / "bench.png").exists()


@pytest.mark.torch
@pytest.mark.slow
def test_with_torch(fcn, hurried, tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is an optional extra")
    monkeypatch.chdir(tmp_path)
    status, out, _ = fcn(*TINY, "--train", "--batch", 2)
    assert status == 0
    assert "mini_fcn8s, width 4: training step, 2 pictures of 32x41" in out
    assert f"threads: {threads.workers()}" in out
    for name in ("fcn_from_scratch", "PyTorch NCHW", "PyTorch channels_last"):
        line = next(line for line in out.splitlines() if line.startswith(name))
        assert line.endswith("100.000%")
    assert not list(tmp_path.iterdir())  # without --out nothing is written


def test_small_is_two_sizes(monkeypatch, fcn, result):
    works = []
    monkeypatch.setattr(
        bench.bench, "measure", lambda work, settings, *_: works.append((work, settings.extras)) or result
    )
    assert fcn("--small", "--peer", "none")[0] == 0
    found = [(work.size, work.batch, work.train, extras) for work, extras in works]
    assert found == [((64, 64), 8, True, ("loop",)), ((128, 128), 8, True, ("loop",))]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--small", "--model", "fcn8s"), "leave out --model"),
        (("--small", "--size", "64"), "leave out --size"),
        (("--model", "fcn9s"), "there is no model 'fcn9s'"),
        (("--model", "mini_classifier", "--size", "96"), "one output map"),
        (("--zero-frame", "--train"), "backward needs the whole maps"),
        (("--zero-frame", "--small"), "backward needs the whole maps"),
        (("--zero-frame", "--model", "mini_unpool", "--size", "64", "--peer", "none"), "the zero frame takes"),
        (("--threads", "0"), "invalid positive value"),
        (("--size", "500by500"), "invalid size value"),
        (("--model", "fcn_alexnet", "--width", "0"), "width"),
        (("--peer", "jax"), "invalid choice"),
        (("--peer", "torch,tensorflow"), "invalid choice: 'tensorflow' (choose from 'torch', 'onnxruntime'"),
        (("--peer", "none,torch"), "'none' stands alone"),
    ],
)
def test_mistakes(fcn, words, says):
    status, out, err = fcn(*words)
    assert status == 2
    assert len(err.splitlines()) == 1
    assert says in err
    assert not out


@pytest.mark.parametrize(
    ("names", "titles"), [("torch", ["PyTorch"]), ("openvino,onnxruntime", ["OpenVINO", "ONNX Runtime"])]
)
def test_peers_are_missed_if_only_these_were_asked_for(fcn, monkeypatch, names, titles):
    monkeypatch.setattr(peers, "installed", lambda name: False)
    status, out, err = fcn("--peer", names)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    for title in titles:
        assert f"{title} is not installed" in err
    assert "pip install 'fcn_from_scratch[bench]'" in err
    assert "--peer none" in err


def test_out_is_a_folder(fcn, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = fcn("--peer", "none", "--out", tmp_path / "file")
    assert status == 2
    assert "is a file" in err
