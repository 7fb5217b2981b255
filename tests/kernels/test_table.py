"""The declared parameters match the kernels' sources, and numbers that are written in two places agree."""

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

from fcn_from_scratch.kernels import convolution, counts, emulator, launch, random, winograd
from fcn_from_scratch.kernels.table import KERNELS

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(launch.SOURCES.glob("*.cu*"))
SOURCES = [path.name for path in FILES if path.suffix == ".cu"]


@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_parameters_are_the_compilers(built, kernel, real):
    module = emulator.Module(launch.text(kernel.source), launch.options(real))
    declared = [(p.type.replace("REAL", real), p.pointer, p.const) for p in kernel.parameters]
    assert module.signature(kernel.name) == declared


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_arrays_come_before_numbers(kernel):
    """So launch cuts the arguments in two."""
    kinds = [parameter.pointer for parameter in kernel.parameters]
    assert kinds == sorted(kinds, reverse=True)


@pytest.mark.parametrize("source", SOURCES)
def test_every_kernel_is_declared_with_its_names(source):
    found = re.findall(
        r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\)\s+)?(\w+)\(([^)]*)\)', launch.text(source)
    )
    assert {name for name, _ in found} == {kernel.name for kernel in KERNELS.values() if kernel.source == source}
    for name, parameters in found:
        written = [re.split(r"[ *]+", parameter.strip())[-1] for parameter in parameters.split(",")]
        assert written == [parameter.name for parameter in KERNELS[name].parameters]


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ("reduce.cuh", "BLOCK", launch.THREADS),
        ("gemm.cu", "TILE", convolution.TILE),
        ("implicit.cuh", "TILE", convolution.CONV_TILE),
        ("implicit.cuh", "STRIP", convolution.STRIP),
        ("implicit.cuh", "RUN", convolution.RUN),
        ("winograd.cu", "TILES_AT_ONCE", winograd.TILES_AT_ONCE),
        ("winograd.cu", "CHANNELS_AT_ONCE", winograd.CHANNELS_AT_ONCE),
        ("dropout.cu", "RUN", random.RUN),
        ("confusion_matrix.cu", "MOST_CLASSES", counts.MOST_CLASSES),
    ],
)
def test_constants_agree(header, name, value):
    assert re.search(rf"#define {name} (\d+)", (launch.SOURCES / header).read_text(encoding="utf-8"))[1] == str(value)


@pytest.mark.parametrize("source", ["gemm.cu", "tile.cuh"])
def test_a_product_has_the_threads_it_is_launched_with(source):
    side = int(re.search(r"#define SIDE (\d+)", (launch.SOURCES / source).read_text(encoding="utf-8"))[1])
    assert side * side == launch.THREADS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_source_begins_with_what_it_does(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = [line for line in lines[:40] if line.startswith("//")]
    assert lines[0].startswith("// ")
    assert path.suffix == ".cuh" or {"// Memory:", "// Who reads what:"} <= {
        word for line in comment for word in ("// Memory:", "// Who reads what:") if line.startswith(word)
    }
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_flat_indices_are_64_bits_wide(path):
    """blockIdx.x * blockDim.x is 32 bits wide and unsigned: no sanitizer sees it wrap."""
    assert not re.search(
        r"(?<!\(idx_t\))(?<!\(INDEX\))\b(blockIdx|gridDim)\.x \* ",
        path.read_text(encoding="utf-8").replace("// blockIdx", ""),
    )


def test_numbers_are_added_in_a_fixed_order():
    """atomicAdd on floating-point numbers gives another last digit on every run: only counts are added like that."""
    assert [name for name in SOURCES if "atomicAdd(" in (launch.SOURCES / name).read_text(encoding="utf-8")] == [
        "confusion_matrix.cu"
    ]


def test_the_sources_are_installed_and_named():
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    installed = [f"kernels/*.{ending}" for ending in ("cu", "cuh", "h", "cpp")]
    assert settings["options.package_data"]["fcn_from_scratch"].split() == installed
    architecture = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert [path.name for path in FILES if f"`{path.name}`" not in architecture] == []
