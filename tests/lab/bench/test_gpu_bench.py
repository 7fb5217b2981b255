"""`fcn bench --device cuda` from the command line to its files, with the stand-in for CuPy in every process."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import standin
from arrays import close
from children import Environment

from fcn_from_scratch.cli import bench as cli
from fcn_from_scratch.kernels import emulator
from fcn_from_scratch.lab.bench import gpu, peers, timing
from fcn_from_scratch.lab.bench.kernel_cases import CASES
from fcn_from_scratch.lab.bench.processes import Process

TITLES = (
    "fcn_from_scratch",
    "the same by Winograd",
    "the same by im2col",
    "the same by implicit GEMM",
    "the same without its kernels",
)
TINY = ("--device", "cuda", "--model", "mini_fcn8s", "--width", "4", "--size", "16x21", "--repeats", "1")
ALIAS = """
import sys
import standin
from fcn_from_scratch.lab.bench import gpu
gpu.SIDE, gpu.COPY_BYTES = 64, 1 << 20
sys.modules["cupy"] = standin
"""
FULL = """
def full(shape, dtype=float):
    raise MemoryError("Out of memory allocating 512 bytes")
standin.empty = full
"""


@pytest.fixture
def device(tmp_path, monkeypatch, hurried):
    """`import cupy` gives the stand-in, in this process and in processes that are started later."""
    if emulator.missing():
        pytest.skip(emulator.missing())
    folder = tmp_path / "with_cupy"
    folder.mkdir()
    (folder / "cupy.py").write_text(ALIAS)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setitem(sys.modules, "cupy", standin)
    monkeypatch.setattr(timing, "GPU_TURN", 1e-9)
    monkeypatch.setattr(cli, "GPU_BUDGET", None)


def test_the_whole_way(device, fcn, tmp_path):
    status, out, err = fcn(*TINY, "--peer", "none", "--train", "--layers", "--kernels", "--out", tmp_path / "b")
    assert (status, [line for line in err.splitlines() if "load average" not in line]) == (0, [])
    first = out.splitlines()[0]
    for words in (
        "a stand-in for a GPU, 1 GiB",
        "driver 12.4, runtime 12.9",
        f"CuPy {standin.__version__}",
        "TF32 off",
    ):
        assert words in first
    assert "No peer takes part" in out
    assert "training step, 1 picture of 16x21; on the GPU, rounds: 1" in out
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    for title in TITLES:
        assert lines[title].endswith("100.000%")
    for name in CASES:
        assert lines[name].split("  ")[-1]
    with open(tmp_path / "b" / "bench.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["device"] for row in rows} == {"cuda"}
    assert [row["rival"] for row in rows[:5]] == ["cuda", "cuda_winograd", "cuda_im2col", "cuda_implicit", "cupy"]
    for row in rows[:5]:
        assert float(row["error"]) < 2e-5
        assert int(row["peak_bytes"]) > 10_000
    parts = {row["part"]: row for row in rows[5:]}
    assert {"conv1_1 forward", "conv2_1 input_grad", "score_fr weight_grad"} <= set(parts)
    assert {f"kernel {name}" for name in CASES} <= set(parts)
    assert all(float(row["gbytes"]) > 0 for row in parts.values())
    value = json.loads((tmp_path / "b" / "bench.json").read_text(encoding="utf-8"))
    assert value["about"]["gpu"]["gpu"] == "a stand-in for a GPU"
    assert value["about"]["arguments"]["tf32"] is False
    assert value["kernels"]["ceiling_gbytes"] > 0
    assert len(value["kernels"]["rows"]) == 2 * len(CASES)
    assert (tmp_path / "b" / "bench.png").stat().st_size > 10_000
    assert (tmp_path / "b" / "kernels.png").stat().st_size > 10_000


@pytest.mark.skipif(os.name == "nt", reason="no SIGTERM there")
def test_a_stopped_command_has_printed_and_written_what_it_had(device, tmp_path):
    """Ended by SIGTERM among the layers. Its output is no terminal, and the rows were in the file before that."""
    tools, csv_file = Path(standin.__file__).parent, tmp_path / "b" / "bench.csv"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tmp_path / "with_cupy", tools, *sys.path)))}
    words = [*TINY[:-1], "3", "--peer", "none", "--train", "--layers", "--kernels", "--budget", "900"]
    command = [sys.executable, "-m", "fcn_from_scratch", "bench", *words, "--out", str(csv_file.parent)]
    given = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **given) as child:
        end = time.monotonic() + 300
        while time.monotonic() < end and not (csv_file.exists() and "weight_grad" in csv_file.read_text()):
            time.sleep(0.02)
        child.terminate()
        out, err = child.communicate(timeout=300)
    assert child.returncode == 128 + signal.SIGTERM
    assert err.splitlines()[-1].startswith("fcn: stopped by SIGTERM; what was measured before is in ")
    assert "Traceback" not in err
    assert "\r" not in out + err
    for title in TITLES:
        assert any(line.startswith(title) for line in out.splitlines())
    with open(csv_file, encoding="utf-8", newline="") as file:
        parts = list(dict.fromkeys(row["part"] for row in csv.DictReader(file)))
    assert parts[0] == "whole"
    for part in parts[1:]:
        layers, step = part.rsplit(" ", 1)
        words = layers, step.replace("_", " ")
        assert any(line.startswith(words[0]) and words[1] in line for line in out.splitlines()), part


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("--size", "500", "--peer", "none"),
            "5 rivals hold at least 3.66 GiB, and 64 MiB are free: take a smaller --size",
        ),
        (("--threads", "2"), "--threads is for --device cpu"),
        (("--mallopt",), "--mallopt is for --device cpu"),
        (("--zero-frame",), "--zero-frame is for --device cpu"),
        (("--model", "mini_classifier", "--size", "96", "--peer", "none"), "one output map"),
    ],
)
def test_mistakes(device, fcn, words, says):
    status, out, err = fcn("--device", "cuda", *words)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert says in err


@pytest.mark.parametrize("word", ["--kernels", "--tf32"])
def test_what_is_for_the_gpu_is_refused_on_the_cpu(fcn, word):
    status, out, err = fcn(word)
    assert (status, out) == (2, "")
    assert err == f"fcn: {word} is for --device cuda\n"


def test_without_cupy_one_line(fcn, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    status, out, err = fcn("--device", "cuda")
    assert (status, out) == (2, "")
    assert err == "fcn: device 'cuda' needs CuPy, which is not installed: pip install 'fcn_from_scratch[gpu]'\n"


def test_without_a_gpu_one_line(fcn, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", standin)
    monkeypatch.setattr(standin.cuda, "is_available", lambda: False)
    status, out, err = fcn("--device", "cuda")
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert "needs an NVIDIA GPU and its driver" in err


def test_a_full_gpu_is_one_line(device, fcn, tmp_path):
    with open(tmp_path / "with_cupy" / "cupy.py", "a", encoding="utf-8") as file:
        file.write(FULL)
    status, _, err = fcn(*TINY, "--peer", "none")
    assert status == 1
    assert err.splitlines()[-1] == (
        "fcn: not enough memory: fcn_from_scratch: Out of memory allocating 512 bytes. Use smaller images or a smaller "
        "batch"
    )
    assert "Traceback" not in err


@pytest.mark.torch
@pytest.mark.slow
def test_pytorch_without_cuda_cannot_compete(device, fcn):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional extra")
    if torch.cuda.is_available():
        pytest.skip("this one has CUDA")
    status, out, err = fcn(*TINY, "--peer", "torch")
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert "sees no GPU" in err
    assert "--peer none" in err
    status, out, _ = fcn(*TINY)
    assert status == 0
    assert "sees no GPU" in out.splitlines()[1]
    assert "PyTorch NCHW" not in out


def test_onnx_runtime_and_openvino_take_part_on_the_cpu_only(device, fcn, monkeypatch):
    monkeypatch.setattr(peers, "installed", lambda name: name != "torch")
    status, out, _ = fcn(*TINY, "--peer", "onnxruntime,openvino")
    assert status == 0
    for title in ("ONNX Runtime", "OpenVINO"):
        assert f"{title}: cannot run: it takes part on the CPU only" in out


@pytest.mark.parametrize("tf32", [False, True])
def test_tf32_is_tried_not_believed(device, monkeypatch, tf32):
    """A product that rounds its factors to TF32's ten bits is detected."""
    if tf32:
        monkeypatch.setattr(standin.ndarray, "__matmul__", lambda a, b: standin.ndarray(rounded(a) @ rounded(b)))
    assert gpu.Gpu().facts()["tf32"] is tf32


def test_the_ceilings_do_what_they_say(device, monkeypatch):
    """The copy reads and writes every byte, the product is right, and neither takes more memory than its part."""
    monkeypatch.setattr(gpu, "SIDE", 8192)
    monkeypatch.setattr(gpu, "COPY_BYTES", 1 << 30)
    ceiling = gpu.GpuCeiling()
    free, side = standin.MEMORY[0], len(ceiling.a)
    assert ceiling.amounts() == {"multiply": 2 * side**3, "copy": 2 * ceiling.busy[0].nbytes}
    assert free // gpu.PART - 2 <= ceiling.busy.nbytes <= free // gpu.PART
    assert 0.98 * free / gpu.PART < ceiling.a.nbytes + ceiling.b.nbytes + ceiling.c.nbytes <= free / gpu.PART
    ceiling.multiply()
    close(ceiling.c, ceiling.a._host.astype(float) @ ceiling.b._host, 1e-5)
    ceiling.busy[1] = 7
    ceiling.copy()
    assert int(ceiling.busy[0].min()) == 7


def test_the_peak_is_that_of_arrays_alive_together(device):
    kept = standin.empty(1000, "uint8")

    def call():
        first = standin.empty(300, "uint8")
        second = standin.empty(500, "uint8")
        del first, second
        standin.empty(600, "uint8")

    before = standin.get_default_memory_pool().used_bytes()
    assert gpu.highest(standin, call) == before + 800
    assert before >= kept.nbytes


def rounded(array):
    """The numbers rounded to TF32: 13 of float32's 23 bits are dropped."""
    bits = array._host.view("uint32")
    return ((bits + 0x0FFF + (bits >> 13 & 1)) & 0xFFFFE000).view("float32")


def test_the_gpu_rival_without_kernels_launches_none(device):
    from fcn_from_scratch.lab.bench import Work
    from fcn_from_scratch.lab.bench.cupy_rival import CupyRival

    work = Work("mini_fcn8s", (32, 41), options={"width": 4})
    launches, algorithms = [], []
    for arguments in (("auto",), ("winograd",), ("im2col",), ("implicit",), ("auto", False)):
        rival = CupyRival(work, *arguments)
        standin.counts.clear()
        rival.run()
        rival.mode.close()
        launches.append(standin.counts["kernels"])
        algorithms.append({conv.algorithm for conv in rival.layers.values() if conv})
        if launches[-1]:  # scores are copied to the host only when they are asked for
            assert standin.counts["to host"] == 0
    assert 0 not in launches[:4]
    assert launches[4] == 0
    assert algorithms == [{"auto"}, {"auto", "winograd"}, {"im2col"}, {"implicit"}, {"auto"}]
    assert rival.layers["conv1_1"].algorithm == "auto"


def test_under_tf32_the_rival_by_winograd_runs_without_it(device, monkeypatch):
    """Winograd's algorithm is refused there: its rounding errors would be too large."""
    from fcn_from_scratch.lab.bench import Work
    from fcn_from_scratch.lab.bench.cupy_rival import CupyRival

    monkeypatch.setenv("CUPY_TF32", "1")
    rival = CupyRival(Work("mini_fcn8s", (32, 41), options={"width": 4}), "winograd")
    rival.run()
    rival.mode.close()
    assert {conv.algorithm for conv in rival.layers.values() if conv} == {"auto"}


@pytest.mark.parametrize("tf32", [False, True])
def test_the_environment_says_whether_tf32_is_allowed(tf32, monkeypatch):
    """In the variables that CuPy, cuBLAS and PyTorch read. The user's own settings do not reach the process."""
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0" if tf32 else "1")
    monkeypatch.setenv("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1")
    with Process(Environment, threads=1, variables=gpu.variables(tf32)) as process:
        assert process.ask("get", "CUPY_TF32") == str(int(tf32))
        assert process.ask("get", "NVIDIA_TF32_OVERRIDE") == (None if tf32 else "0")
        assert process.ask("get", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE") is None
        assert process.ask("allowed") is tf32
