"""The package in Pyodide, CPython compiled to 32-bit WebAssembly: tests of its core, and lessons. run.mjs runs them.

Here runs what takes about three minutes on one busy core. FCN_WASM_ALL=1 runs everything, as each night. Needs Node
20 and Pyodide's files: the folder FCN_PYODIDE, or ../shared/pyodide beside the checkout.
"""

import json
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RUNTIME = Path(os.environ.get("FCN_PYODIDE", ROOT.parent / "shared/pyodide"))
ALL = os.environ.get("FCN_WASM_ALL") == "1"
CORE = ["ops", "layers", "gradcheck", "geometry", "test_metrics.py", "weights"]
PART = [
    "ops/test_loss.py",
    "ops/test_pooling.py",
    "test_metrics.py",
    "geometry/test_fields.py",
    "layers/test_pooling.py",
]
QUICK_LESSONS = ("00", "03", "16")  # a few seconds each
LESSONS = sorted(path.stem.split("_")[1] for path in ROOT.glob("lessons/lesson_[0-9][0-9]_*.py"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("node") is None, reason="needs Node"),
    pytest.mark.skipif(not (RUNTIME / "pyodide.mjs").exists(), reason=f"{RUNTIME} has no Pyodide: set FCN_PYODIDE"),
]


def run(*words):
    """What run.mjs prints. Fails with it when the status is not 0."""
    environment = {
        **os.environ,
        "FCN_PYODIDE": str(RUNTIME),
        "FCN_PACKAGES": sysconfig.get_path("purelib"),
    }
    command = ["node", str(HERE / "run.mjs"), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=7200)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_core_of_the_suite_and_what_a_browser_lacks():
    """In one runtime: its start takes longer than most of the tests. What a browser lacks comes last."""
    printed = run("tests", *(CORE if ALL else PART), "wasm/in_browser.py")
    print(*re.findall("^left out.*", printed, re.MULTILINE), sep="\n")
    passed = re.search(r"(\d+) passed", printed)
    assert passed, printed[-2000:]
    assert int(passed[1]) > (3012 if ALL else 312)  # 12 of them in in_browser.py


@pytest.mark.parametrize("number", LESSONS if ALL else QUICK_LESSONS)
def test_lesson(number):
    printed = run("lesson", number)
    result = json.loads(re.search(r'^\{"lesson".*\}$', printed, re.MULTILINE)[0])
    print(result)
    claims = re.search(r"all (\d+) claims of this lesson hold", printed)
    assert claims, printed[-2000:]
    assert printed.count("  ok  ") >= int(claims[1])
    assert result["figures"] > 0


def test_a_mistake_is_noticed(tmp_path):
    """A test that fails in the runtime fails here."""
    words = ["tests", "wasm/wrong.py"]
    with pytest.raises(AssertionError, match="rule 'safe'"):
        run(*words)
