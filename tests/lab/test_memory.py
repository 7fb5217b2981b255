"""How much memory was taken, how much is left."""

import subprocess
import sys

import pytest

from fcn_from_scratch.lab import memory


def test_peak_grows_with_an_array_and_does_not_shrink():
    """In a process of its own, whose peak nothing else has raised."""
    code = "import numpy as np; from fcn_from_scratch.lab import memory; print(memory.peak()); "
    code += "a = np.ones(200 << 20, np.uint8); print(memory.peak()); del a; print(memory.peak())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if "None" in done.stdout:
        pytest.skip("this system does not tell")
    before, during, after = (int(line) / 2**20 for line in done.stdout.split())
    assert 190 < during - before < 240
    assert after > during - 2


def test_without_proc(monkeypatch):
    monkeypatch.setattr(memory, "_proc", lambda path, key: None)
    monkeypatch.setattr(memory, "_container_room", lambda: None)
    resource = pytest.importorskip("resource")
    assert memory.peak() >= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert memory.available() > 1 << 20


def test_files_of_linux(tmp_path):
    (tmp_path / "status").write_text("Name:\tfcn\nVmHWM:\t   2048 kB\nVmRSS:\t 1 kB\n")
    assert memory._proc(tmp_path / "status", "VmHWM") == 2048 * 1024
    assert memory._proc(tmp_path / "status", "VmXYZ") is None
    assert memory._proc(tmp_path / "gone", "VmHWM") is None


@pytest.mark.parametrize(("limit", "used", "room"), [("1000", "300", 700), ("100", "300", 0), ("max", "3", None)])
def test_a_container(tmp_path, limit, used, room):
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text(f"{used}\n")
    assert memory._container_room(tmp_path) == room


def test_the_tighter_limit_counts(monkeypatch):
    monkeypatch.setattr(memory, "_proc", lambda path, key: 500)
    for room, expected in ((300, 300), (None, 500), (900, 500)):
        monkeypatch.setattr(memory, "_container_room", lambda room=room: room)
        assert memory.available() == expected
