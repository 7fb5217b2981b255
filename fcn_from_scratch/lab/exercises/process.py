"""The check of a reader's file in a process of its own: whatever the file does, the command goes on."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from fcn_from_scratch.browser import IN_BROWSER
from fcn_from_scratch.lab.exercises.checking import check
from fcn_from_scratch.lab.exercises.files import Wrong, read

TIME_LIMIT = 30  # seconds
GRACE = 10  # seconds for the child to start, and to end by itself
# Without the working folder on Python's path: a reader may have a file there that is called copy.py.
CHILD = "import sys; sys.path[:] = filter(None, sys.path); from {} import main; main(sys.argv[1])"


def check_in_process(exercise, path, seed=0, time_limit=TIME_LIMIT):
    """Check a reader's file as `check` does, in a new process. What the file prints goes to the terminal.

    A browser starts no processes. There the file is checked in this one, and a loop that runs for ever must be stopped.
    time_limit  in seconds. The process is ended after it
    Raises: Wrong with the first difference that was found, or if the file does not come to an end.
    """
    read(path)  # a file that cannot be read is reported before anything is started
    if IN_BROWSER:
        check(exercise, path, seed)
        return
    with tempfile.TemporaryDirectory(prefix="fcn_exercise_") as folder:
        verdict, stack = Path(folder, "verdict"), Path(folder, "stack")
        order = dict(exercise=[exercise.lesson, exercise.number, str(exercise.path)], path=str(path), seed=seed)
        order |= dict(time_limit=time_limit, verdict=str(verdict), stack=str(stack))
        sys.stdout.flush()
        command = [sys.executable, "-c", CHILD.format("fcn_from_scratch.lab.exercises.child"), json.dumps(order)]
        try:
            ended = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=time_limit + GRACE, env=_environment())
        except subprocess.TimeoutExpired:
            raise Wrong(_endless(path, time_limit, "")) from None
        text = stack.read_text(encoding="utf-8", errors="replace") if stack.exists() else ""
        if text:
            raise Wrong(_endless(path, time_limit, text))
        if not verdict.exists():
            raise Wrong(f"{path} ended the process before the check was finished (exit status {ended.returncode})")
        message = verdict.read_text(encoding="utf-8")
        if message:
            raise Wrong(message)


def _endless(path, time_limit, stack):
    """The message for a file that did not end. faulthandler's text tells the line, the innermost call first."""
    lines = re.findall(rf'File "{re.escape(str(path))}", line (\d+)', stack)
    where = f" It was at line {lines[0]}." if lines else ""
    return f"{path} did not end within {time_limit:g} s.{where} Does a loop run for ever?"


def _environment():
    """This process's environment, with the folder from which the package was imported."""
    root = str(Path(__file__).resolve().parents[3])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(paths), PYTHONUNBUFFERED="1")
