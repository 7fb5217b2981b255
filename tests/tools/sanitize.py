"""The kernels under the compilers' sanitizers, on the CPU; first, three planted mistakes must each be caught.

python tests/tools/sanitize.py            plant the mistakes, then run the kernels' tests under all sanitizers
python tests/tools/sanitize.py --planted  the mistakes only

a race                  two threads of a block use one place of shared memory without a barrier   ThreadSanitizer
an out-of-bounds write  one number behind the array                                               AddressSanitizer
an int that overflows   an index computed in 32 bits                                              UBSan

The third is always on in the emulator (kernels/emulator.py); it does not see an unsigned number wrap, which
tests/kernels/test_far.py does. The others are runtimes that must be loaded before Python: each run below is a process
of its own. Needs g++ with libasan and libtsan.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parents[1]
COMPILER = "g++"
SANITIZERS = {
    # the runtime to load first, and its options
    "address": ("libasan.so", {"ASAN_OPTIONS": "detect_leaks=0"}),
    "thread": ("libtsan.so", {"TSAN_OPTIONS": "exitcode=66 halt_on_error=1"}),
}


class Mistake(NamedTuple):
    """In a kernel's text `right` is replaced by `wrong`, and the sanitizer (None: the one that is always on) must
    say `words` then, and nothing before."""

    name: str
    sanitizer: str | None
    threads: int
    body: str
    right: str
    wrong: str
    words: str


PLANTED = [
    Mistake(
        "a race",
        "thread",
        64,
        "__shared__ float line[64]; line[threadIdx.x] = n; __syncthreads(); y[threadIdx.x] = line[63 - threadIdx.x];",
        "__syncthreads();",
        "if (n < 0) __syncthreads();",
        "ThreadSanitizer: data race",
    ),
    Mistake(
        "an out-of-bounds write",
        "address",
        65,
        "if ((int)threadIdx.x < n) y[threadIdx.x] = 1;",
        "x < n",
        "x <= n",
        "AddressSanitizer: heap-buffer-overflow",
    ),
    Mistake(
        "an int that overflows",
        None,
        64,
        "const long long at = ((long long)(threadIdx.x * 512) + n) * 5000 * n; y[threadIdx.x] = at;",
        "(long long)",
        "(int)",
        "a multiplication overflows",
    ),
]
RUN = """
import numpy as np
from fcn_from_scratch.kernels import emulator
y = np.zeros(64, np.float32)
code = 'extern "C" __global__ void planted(float* y, int n) {{ {body} }}'
emulator.Module(code, ()).run("planted", 1, {threads}, (y, np.int32(64)))
"""


def environment(sanitizer):
    """The variables under which a Python process and the kernels it builds run under the sanitizer."""
    variables = os.environ | {"PYTHONPATH": str(TESTS.parent)}
    if sanitizer:
        library, options = SANITIZERS[sanitizer]
        found = subprocess.run([COMPILER, f"-print-file-name={library}"], capture_output=True, text=True, check=True)
        variables |= {
            "LD_PRELOAD": found.stdout.strip(),
            "FCN_EMU_SANITIZE": f"-fsanitize={sanitizer}",
            "PYTHONMALLOC": "malloc",
            **options,
        }
    return variables


def planted():
    """Try each kernel with its mistake and without; returns the names of what went unnoticed or was made up."""
    missed = []
    for mistake in PLANTED:
        caught = _says(mistake, mistake.body.replace(mistake.right, mistake.wrong))
        clean = not _says(mistake, mistake.body)
        if caught and clean:
            print(f"{mistake.name:24} caught: {mistake.words}", flush=True)
        else:
            print(f"{mistake.name:24} {'NOT CAUGHT' if clean else 'REPORTED WITHOUT CAUSE'}", flush=True)
            missed.append(mistake.name)
    return missed


def _says(mistake, body):
    program = RUN.format(body=body, threads=mistake.threads)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(mistake.sanitizer),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and mistake.words not in done.stderr:
        raise RuntimeError(f"{mistake.name}: {done.stderr}")
    return done.returncode != 0


def tests(sanitizer):
    """The kernels' tests under one sanitizer; returns pytest's status."""
    print(f"\nthe kernels' tests under {sanitizer} sanitizer", flush=True)
    names = [str(TESTS / "kernels" / name) for name in ("test_kernels.py", "test_random.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-m", "not gpu", *names]
    return subprocess.run(command, env=environment(sanitizer), cwd=TESTS.parent, check=False).returncode


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planted", action="store_true", help="the planted mistakes only")
    only_planted = parser.parse_args(arguments).planted
    if not shutil.which(COMPILER):
        sys.exit(f"no {COMPILER} on this machine: the kernels cannot be emulated")
    failed = planted()
    if not only_planted:
        failed += [sanitizer for sanitizer in SANITIZERS if tests(sanitizer)]
    print("\n" + ("failed: " + ", ".join(failed) if failed else "all caught, all clean"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
