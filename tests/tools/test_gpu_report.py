"""`make gpu`, rehearsed: its commands exist and fit into ten minutes, and what ran is kept when a part is cut off.

A program in the place of each command notes how it was called, or does what the test says. The stand-in for CuPy takes
part where a command runs to its end.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fcn_from_scratch import cli

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "tools" / "gpu_report.sh"
SH = shutil.which("sh")
pytestmark = pytest.mark.skipif(not SH or not shutil.which("timeout"), reason="needs a POSIX shell and timeout")

TOOLS = "memcheck", "racecheck", "initcheck"
PYTHON = """#!/bin/sh
[ "$1" = -c ] && exit {cupy}
echo "called: $*"
{body}
"""


@pytest.fixture
def report(tmp_path):
    """A function that runs the script with a program for Python; returns (status, report, output, errors)."""

    def run(body="", cupy=0, sanitizer=":"):
        programs = tmp_path / "bin"
        programs.mkdir()
        write(programs / "nvidia-smi", '#!/bin/sh\necho "nvidia-smi: $*"\n')
        if sanitizer:
            write(programs / "compute-sanitizer", f'#!/bin/sh\necho "compute-sanitizer: $*"\n{sanitizer}\n')
        write(programs / "python", PYTHON.format(cupy=cupy, body=body))
        environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        command = [SH, str(SCRIPT), str(programs / "python")]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        file = tmp_path / "runs" / "gpu-report.txt"
        return done.returncode, file.read_text() if file.exists() else None, done.stdout, done.stderr

    return run


def write(path, text):
    path.write_text(text)
    path.chmod(0o755)


def test_without_a_gpu_one_sentence(report):
    status, text, out, err = report(cupy=1)
    assert (status, text, out) == (2, None, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("make gpu needs an NVIDIA GPU with its driver, and CuPy in ")


def test_all_parts_run_in_this_order(report, tmp_path):
    status, text, out, _ = report()
    assert status == 0
    parts = [line for line in text.splitlines() if line.startswith("#####")]
    words = ["nvidia-smi", "out runs/gpu/inference", "out runs/gpu/train", "out runs/gpu/small", "-m gpu -n 12 tests"]
    words += [f"--tool {tool} " for tool in TOOLS]
    assert len(parts) == len(words)
    assert all(word in part for word, part in zip(words, parts))
    assert out.splitlines()[-1] == "wrote runs/gpu-report.txt"
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["gpu-report.txt"]


def test_only_files_that_speak_of_a_gpu_are_collected(report, tmp_path):
    """The kernels' tests come first."""
    texts = {"kernels": "xp", "ops": "def test_it(xp)", "engine": "NEEDS_GPU = pytest.mark.gpu", "cli": "cpu, expected"}
    for folder, text in texts.items():
        (tmp_path / "tests" / folder).mkdir(parents=True)
        (tmp_path / "tests" / folder / "test_it.py").write_text(text)
    _, text, _, _ = report()
    call = next(line for line in text.splitlines() if line.startswith("called: -m pytest"))
    assert call.split("-n 12 ")[1].split() == ["tests/kernels", "tests/engine/test_it.py", "tests/ops/test_it.py"]


@pytest.mark.parametrize("tool", TOOLS)
def test_what_a_sanitizer_found_fails(report, tool):
    status, text, out, _ = report(sanitizer=f'case "$*" in *"--tool {tool} "*) echo "1 error"; exit 9;; esac')
    assert status == 1
    assert "\n1 error\n" in text
    assert text.count("FAILED") == out.count("FAILED") == 1


def test_they_fit_into_ten_minutes():
    text = SCRIPT.read_text()
    limits = [int(number) for number in re.findall(r"^(?:part|bench|tests) (\d+) ", text, re.MULTILINE)]
    under_sanitizer = int(re.search(r"^    part (\d+) compute-sanitizer", text, re.MULTILINE)[1])  # beside the tests
    assert len(limits) == 5
    assert under_sanitizer <= limits[-1]
    assert sum(limits) <= 590
    budgets = [tuple(map(int, pair)) for pair in re.findall(r"^bench (\d+) (\d+) ", text, re.MULTILINE)]
    assert all(limit >= 1.2 * budget for limit, budget in budgets)


def test_the_words_of_fcn_bench_are_its_options(report):
    _, text, _, _ = report()
    calls = re.findall(r"called: -m fcn_from_scratch (.*)", text)
    assert len(calls) == 3
    for words in calls:
        assert cli._parser(words.split()).parse_args(words.split()).device == "cuda"


def test_what_a_part_printed_is_kept_when_it_is_cut_off(report, tmp_path, monkeypatch):
    """A short limit in a copy of the script: the part is told to stop, and its last words are in the report."""
    short = tmp_path / "short.sh"
    short.write_text(SCRIPT.read_text().replace("bench 90 75", "bench 1 75"))
    monkeypatch.setattr(sys.modules[__name__], "SCRIPT", short)
    body = (
        'case "$*" in *inference*) trap "echo last words; exit 3" INT; echo a row; while :; do sleep 0.1; done;; esac'
    )
    status, text, _, _ = report(body)
    assert status == 1
    rows = text.splitlines()
    assert rows.index("a row") < rows.index("last words")
    assert any(line.startswith("FAILED, or not ready after 1 s: ") for line in rows)
    assert "--tool initcheck" in text


def test_without_the_sanitizer_it_says_so(report):
    status, text, _, _ = report(sanitizer=None)
    if shutil.which("compute-sanitizer"):
        pytest.skip("this machine has it")
    assert status == 0
    assert "compute-sanitizer is not installed" in text
