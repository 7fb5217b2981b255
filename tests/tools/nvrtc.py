"""NVIDIA's own compiler on every kernel, without a GPU or its driver.

python tests/tools/nvrtc.py              a table: registers and shared memory of each kernel, for each architecture
python tests/tools/nvrtc.py --arch 90    one architecture only

Needs nvidia-cuda-nvrtc-cu12 from PyPI, which the extra `test` brings along on Linux. It is called through ctypes.
"""

import argparse
import ctypes
import functools
import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from fcn_from_scratch.kernels import launch  # noqa: E402
from fcn_from_scratch.kernels.table import KERNELS  # noqa: E402

ARCHITECTURES = ("70", "80", "90")  # Volta, Ampere, Hopper
BUILDS = sorted({(kernel.source, variant) for kernel in KERNELS.values() for variant in kernel.variants})
REGISTERS = 65536  # of a multiprocessor: a block must fit


class Usage(NamedTuple):
    """What one compiled kernel takes."""

    kernel: str
    registers: int
    shared: int  # bytes
    spilled: int  # bytes of registers that did not fit and went to memory


@functools.cache
def library():
    """The compiler, or None if it is not installed."""
    for folder in map(Path, sys.path):
        for path in sorted(folder.glob("nvidia/cuda_nvrtc/lib/libnvrtc.so.1[0-9]")):
            return ctypes.CDLL(str(path))
    return None


def missing():
    """Why nothing can be compiled here, or None."""
    return None if library() else "no NVRTC on this machine: pip install nvidia-cuda-nvrtc-cu12==12.4.127"


def version():
    major, minor = ctypes.c_int(), ctypes.c_int()
    _call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
    return f"{major.value}.{minor.value}"


def compile_source(source, real, architecture, variant=()):
    """(usages, warnings) of the kernels of one source text. Raises: RuntimeError with the compiler's words.

    The options are those CuPy gets, and what makes the compiler speak: usage of each kernel. CuPy adds
    --device-as-default-execution-space, which forgives a missing __device__; here it is not forgiven.
    """
    return _compiled(source, real, architecture, variant, _usages_and_warnings)


def cubin(source, real, architecture, variant=()):
    """The machine code of one source text."""
    return _compiled(source, real, architecture, variant, _machine_code)


def _compiled(source, real, architecture, variant, result):
    """result(program) of the program of one source text."""
    program = ctypes.c_void_p()
    _call("nvrtcCreateProgram", ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
    try:
        words = [*launch.options(real, variant), f"-arch=sm_{architecture}", "--ptxas-options=-v", "-ftz=true"]
        options = (ctypes.c_char_p * len(words))(*(word.encode() for word in words))
        if library().nvrtcCompileProgram(program, len(words), options):
            raise RuntimeError(_log(program))
        return result(program)
    finally:
        _call("nvrtcDestroyProgram", ctypes.byref(program))


def _usages_and_warnings(program):
    log = _log(program)
    return _usages(log), re.findall(r"^.*warning.*$", log, re.MULTILINE)


def _machine_code(program):
    size = ctypes.c_size_t()
    _call("nvrtcGetCUBINSize", program, ctypes.byref(size))
    code = ctypes.create_string_buffer(size.value)
    _call("nvrtcGetCUBIN", program, code)
    return code.raw


def _log(program):
    size = ctypes.c_size_t()
    _call("nvrtcGetProgramLogSize", program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    _call("nvrtcGetProgramLog", program, text)
    return text.value.decode()


def _usages(log):
    found = []
    for part in log.split("Compiling entry function '")[1:]:
        spills = map(int, re.findall(r"(\d+) bytes (?:stack frame|spill stores|spill loads)", part))
        shared = re.search(r"(\d+) bytes smem", part)
        registers = int(re.search(r"Used (\d+) registers", part)[1])
        found.append(Usage(part.split("'")[0], registers, int(shared[1]) if shared else 0, sum(spills)))
    return found


def _call(name, *arguments):
    status = getattr(library(), name)(*arguments)
    if status:
        raise RuntimeError(f"{name} failed with status {status}")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", choices=ARCHITECTURES, help="one architecture only")
    chosen = parser.parse_args(arguments).arch
    if missing():
        sys.exit(missing())
    architectures = [chosen] if chosen else ARCHITECTURES
    rows, trouble = {}, []
    for architecture in architectures:
        for source, variant in BUILDS:
            for real in launch.REALS.values():
                usages, warnings = compile_source(launch.text(source), real, architecture, variant)
                trouble += warnings
                for usage in usages:
                    rows.setdefault((" ".join([usage.kernel, *variant]), real), {})[architecture] = usage
                    trouble += [f"{usage.kernel} spills {usage.spilled} bytes"] if usage.spilled else []
    heads = "".join(f"  {'sm_' + a:>6}" for a in architectures)
    print(f"NVRTC {version()}: registers a thread, and shared memory a block\n")
    print(f"{'kernel':32} {'REAL':6}{heads}  shared")
    for (kernel, real), by_architecture in rows.items():
        counts = "".join(f"  {by_architecture[a].registers:6}" for a in architectures)
        print(f"{kernel:32} {real:6}{counts}  {by_architecture[architectures[0]].shared:6}")
    print(f"\n{len(rows)} builds for each of {len(architectures)} architectures: ", end="")
    print("; ".join(trouble) or "no warnings, no spills")
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
