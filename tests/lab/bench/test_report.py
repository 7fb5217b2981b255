"""Table, CSV, JSON and chart show the same numbers, and the ratio is that of the medians."""

import csv
import json

import numpy as np
import pytest

from fcn_from_scratch import viz
from fcn_from_scratch.lab.bench import Ceilings, KernelResult, Result, kernel_report, report
from fcn_from_scratch.lab.bench.chart import chart, kernel_chart
from fcn_from_scratch.lab.bench.measuring import compared, deviation


def test_ratios_are_those_of_the_medians(result):
    medians = {name: np.median(seconds) for name, seconds in result.samples.items()}
    for row in compared("whole", result.samples, flops=6e9):
        assert row.seconds == medians[row.rival]
        assert row.ratio == pytest.approx(medians[row.rival] / medians["fcn"])
        assert row.gflops == pytest.approx(6 / medians[row.rival])
        assert row.low <= row.seconds <= row.high


def test_the_table(result):
    lines = report.text(result).splitlines()
    assert "threads: 2, rounds: 5" in lines[0]
    assert "100 GFLOP/s" in lines[1]
    ours, nchw, channels_last = (" ".join(line.split()) for line in lines[4:7])
    assert ours == "fcn_from_scratch 30 ms 20 ms .. 40 ms 1.00 110 110% 64 MiB 1.0e-05 100.000%"
    assert nchw == "PyTorch NCHW 110 ms 100 ms .. 120 ms 3.67 30 30% 128 MiB 1.0e-06 99.990%"
    assert channels_last == "PyTorch channels_last 60 ms 60 ms .. 60 ms 2.00 55 55% 192 MiB 1.0e-07 99.980%"
    forward = next(line for line in lines if line.startswith("conv1 ") and "forward" in line)
    assert forward.split() == ["conv1", "forward", "3.00", "11.00", "6.00", "100", "3.67", "2.00"]
    assert any(line.startswith("conv2, conv3  input grad") for line in lines)
    assert max(map(len, lines)) <= 160


def test_csv_and_json_hold_every_row(result, tmp_path):
    report.write_csv(tmp_path / "b.csv", [result, result])
    report.write_json(tmp_path / "b.json", [result, result], {"arguments": {"seed": 3}})
    with open(tmp_path / "b.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    value = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert value["about"]["arguments"] == {"seed": 3}
    assert value["about"]["machine"]["numpy"] == np.__version__
    assert len(lines) == 2 * len(result.rows)
    for one in value["results"]:
        assert one["samples"] == result.samples
        assert one["ceiling_gflops"] == 100.0
        assert one["work"]["size"] == [16, 24]
        for row, line, item in zip(result.rows, lines, one["rows"], strict=False):
            assert line["work"] == one["title"]
            for name, number in row._asdict().items():
                assert item[name] == number
                assert line[name] == ("" if number is None else str(number))


def test_the_chart_has_a_bar_for_every_number(result, tmp_path):
    figure = chart([result, result], "a machine")
    whole, _, *layers = figure.axes
    assert sorted(bar.get_width() for bar in whole.patches) == [0.03, 0.06, 0.11]
    assert [axis.get_title(loc="left").split(",")[0] for axis in layers[:3]] == [
        "forward",
        "input gradient",
        "weight gradient",
    ]
    expected = sorted(row.gflops for row in result.rows if row.part == "conv1 forward")
    assert sorted(bar.get_height() for bar in layers[0].patches) == expected
    assert [label.get_text() for label in layers[0].get_xticklabels()] == ["conv1", "conv2\nconv3"]
    assert viz.save_figure(figure, tmp_path / "b.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("gflops", "gbytes", "reached"),
    [(50, 100, "50% products"), (10, 900, "45% copy"), (300, None, "300% products"), (0, 3000, "150% copy")],
)
def test_the_nearer_ceiling_bounds(gflops, gbytes, reached):
    row = compared("a", {"cuda": [1.0]}, flops=1e9 * gflops, moved=None if gbytes is None else 1e9 * gbytes)[0]
    assert report.reached(row, Ceilings(100.0, 2000.0)) == reached


@pytest.fixture
def on_gpu(work):
    """An invented result: 4 ms for 10 GFLOP and 1 GB, with ceilings of 5000 GFLOP/s and 2000 GB/s."""
    samples = {
        "cuda": [0.004],
        "cuda_winograd": [0.002],
        "cupy": [0.008],
        "torch_cuda": [0.002],
        "torch_cuda_cl": [0.003],
    }
    whole = [row._replace(peak_bytes=1 << 30, error=1e-6, agreement=1.0) for row in compared("whole", samples, 1e10)]
    parts = compared("conv1 forward", samples, 1e10, 1e9)
    return Result(work, "cuda", None, whole + parts, Ceilings(5000.0, 2000.0), samples, None)


def test_the_table_of_a_gpu(on_gpu):
    lines = report.text(on_gpu).splitlines()
    assert lines[0].endswith("on the GPU, rounds: 1")
    assert (
        lines[1]
        == "ceilings: 5000 GFLOP/s, the best float32 matrix product; 2000 GB/s, the best copy, read and written"
    )
    assert " ".join(lines[4].split()) == "fcn_from_scratch 4 ms 4 ms .. 4 ms 1.00 2500 50% 1 GiB 1.0e-06 100.000%"
    forward = next(line for line in lines if line.startswith("conv1 "))
    times = ["4.00", "2.00", "8.00", "2.00", "3.00"]
    assert forward.split()[2:] == [*times, "2500", "250", "50%", "products", "0.50", "2.00", "0.50", "0.75"]
    assert max(map(len, lines)) <= 170


def test_the_kernels_table_files_and_chart(on_gpu, work, tmp_path):
    rows = compared("bias_relu", {"cuda": [0.001], "cupy": [0.003]}, 0, 1.5e9)
    rows += compared("gemm", {"cuda": [0.01], "cupy": [0.002]}, 1e10, 1e6)
    facts = {"bias_relu": ("1x2x3x4", "maximum(x + bias, 0)"), "gemm": ("5x6 @ 6x7", "a @ b")}
    kernels = KernelResult(work, rows, facts, Ceilings(5000.0, 2000.0))
    lines = kernel_report.text(kernels).splitlines()
    fused = " ".join(lines[4].split())
    assert fused == "bias_relu 1x2x3x4 maximum(x + bias, 0) 1500.0 1.000 1500 - 75% copy 3.000 3.00"
    assert " ".join(lines[5].split()) == "gemm 5x6 @ 6x7 a @ b 1.0 10.000 0 1000 20% products 2.000 0.20"
    report.write_csv(tmp_path / "b.csv", [on_gpu], kernels)
    with open(tmp_path / "b.csv", encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert [(row["part"], row["rival"], row["seconds"]) for row in written[-4:]] == [
        ("kernel bias_relu", "cuda", "0.001"),
        ("kernel bias_relu", "cupy", "0.003"),
        ("kernel gemm", "cuda", "0.01"),
        ("kernel gemm", "cupy", "0.002"),
    ]
    assert {(row["device"], row["threads"]) for row in written} == {("cuda", "")}
    report.write_json(tmp_path / "b.json", [on_gpu], {"gpu": {"gpu": "a name"}}, kernels)
    value = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert value["kernels"]["rows"][1]["by"] == "maximum(x + bias, 0)"
    assert value["results"][0]["ceiling_gbytes"] == value["kernels"]["ceiling_gbytes"] == 2000.0
    ours, theirs = ([bar.get_width() for bar in bars] for bars in kernel_chart(kernels).axes[0].containers)
    assert ours == pytest.approx([75, 20])
    assert theirs == pytest.approx([25, 100])
    assert len(chart([on_gpu]).axes[0].patches) == 5


FACTS = {
    "gpu": "A GPU",
    "memory": 80 << 30,
    "driver": "12.4",
    "runtime": "12.9",
    "cupy": "14.2.0",
    "torch": "2.13.0",
    "torch_cuda": "12.6",
}


@pytest.mark.parametrize(
    ("tf32", "found", "says"),
    [
        (False, False, "TF32 off"),
        (True, True, "TF32 on"),
        (False, True, "TF32 should be off, but a test shows it is not"),
        (True, False, "TF32 should be on, but a test shows it is not"),
    ],
)
def test_the_gpu_in_words(tf32, found, says):
    words = report.described({**FACTS, "tf32": found}, tf32, ("torch",))
    assert words == (
        "A GPU, 80 GiB; CUDA driver 12.4, runtime 12.9; CuPy 14.2.0; PyTorch 2.13.0 for CUDA 12.6, cudnn.benchmark on; "
        + says
    )
    assert "PyTorch" not in report.described({**FACTS, "tf32": found}, tf32, ())


def test_deviation():
    truth = np.zeros((1, 2, 2, 2))
    truth[0, 1] = [[4.0, -1.0], [0.5, 2.0]]
    scores = truth.astype("float32")
    assert deviation(scores, truth) == (0.0, 1.0)
    scores[0, 1, 1, 0] = -0.5  # now its class is 0
    assert deviation(scores, truth) == (0.25, 0.75)


@pytest.mark.parametrize(
    ("load", "threads", "told"), [(0.2, 0, False), (1.5, 0, True), (2.4, 2, False), (3.1, 2, True), (None, 0, False)]
)
def test_foreign_load_is_told(load, threads, told):
    sentence = report.disturbance(load, threads)
    assert (sentence is not None) == told
    assert not told or f"{load}" in sentence


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0123, "12.3 ms"), (0.9999, "1 s"), (0.98, "980 ms"), (2.345, "2.35 s")]
)
def test_duration(seconds, words):
    assert report.duration(seconds) == words
