"""The instructions of every kernel as a GPU runs them, counted without a GPU.

python tests/tools/sass.py im2col.cu              each variant, in float, for sm_90
python tests/tools/sass.py max_pool.cu --arch 80 --real double

For each loop: how many instructions it has, how many of them write to global memory (so many rounds are in it),
multiply and add, or multiply on tensor cores. A loop's count holds the loops and the rarely taken branches inside it.
Needs nvidia-cuda-nvrtc-cu12 as nvrtc.py does, and cuobjdump with nvdisasm on the PATH: those of the CUDA toolkit, or
from PyPI nvidia-cuda-cuobjdump and nvidia-cuda-nvdisasm.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import nvrtc  # noqa: E402

from fcn_from_scratch.kernels import launch  # noqa: E402

LINE = re.compile(r"/\*([0-9a-f]{4,5})\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9_.]+)([^;]*);")
KINDS = {"writes": "STG", "multiply-adds": ("FFMA", "DFMA"), "tensor cores": ("HMMA", "DMMA")}


class Loop(NamedTuple):
    """A loop of a kernel: its instructions, and how many of them are of each of KINDS."""

    instructions: int
    kinds: dict


def instructions(cubin):
    """name of a kernel -> [(address, operation, operands)] of a compiled source."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        done = subprocess.run(["cuobjdump", "-sass", file.name], capture_output=True, text=True, check=True)
    found = {}
    for part in done.stdout.split("Function : ")[1:]:
        lines = [(int(address, 16), operation, rest) for address, operation, rest in LINE.findall(part)]
        found[part.split()[0]] = [line for line in lines if line[1] != "NOP"]
    return found


def loops(code):
    """The Loops of one kernel: from the target of each jump backwards to the jump."""
    found = []
    for address, operation, rest in code:
        target = re.search(r"0x([0-9a-f]+)", rest)
        if operation.startswith("BRA") and target and int(target[1], 16) < address:
            body = [name for place, name, _ in code if int(target[1], 16) <= place <= address]
            kinds = {kind: sum(name.startswith(start) for name in body) for kind, start in KINDS.items()}
            found.append(Loop(len(body), {kind: count for kind, count in kinds.items() if count}))
    return found


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", choices=sorted({source for source, _ in nvrtc.BUILDS}))
    parser.add_argument("--arch", choices=nvrtc.ARCHITECTURES, default="90")
    parser.add_argument("--real", choices=launch.REALS.values(), default="float")
    given = parser.parse_args(arguments)
    if nvrtc.missing():
        sys.exit(nvrtc.missing())
    if not shutil.which("cuobjdump") or not shutil.which("nvdisasm"):
        sys.exit("cuobjdump and nvdisasm are not on the PATH: pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm")
    for source, variant in nvrtc.BUILDS:
        if source != given.source:
            continue
        cubin = nvrtc.cubin(launch.text(source), given.real, given.arch, variant)
        for name, code in instructions(cubin).items():
            print(f"{' '.join([name, *variant])}: {len(code)} instructions")
            for loop in loops(code):
                words = ", ".join(f"{count} {kind}" for kind, count in loop.kinds.items())
                print(f"  a loop of {loop.instructions}" + (f": {words}" if words else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
