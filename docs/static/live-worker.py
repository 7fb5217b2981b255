"""What the worker of a live page calls in Python: run a cell, check an answer, forget the names.

The worker (live-worker.js) runs this text once, and keeps one Glue. Each method returns a dict for the page.
"""

import contextlib
import io
import json
import linecache
import sys
import traceback

import live_page  # the worker's functions
from pyodide.ffi import to_js

from fcn_from_scratch import course, viz
from fcn_from_scratch.lab.exercises import check_text


class Glue:
    def __init__(self):
        self.names = sys.modules["__main__"].__dict__
        self.kept = set(self.names)
        viz.set_display(lambda png, alt, name: live_page.figure(to_js(png), alt))
        course.claims = _claims_in_a_box

    def run(self, source, name):
        """Run a cell. What goes wrong is described by its last line and by the whole traceback."""
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)  # for the traceback
        try:
            exec(compile(source, name, "exec"), self.names)
        except BaseException as error:  # also KeyboardInterrupt and SystemExit: the page goes on
            return _described(error, name)
        finally:
            _flush()
        return {}

    def check(self, lesson, number, exercise, answer):
        """Check an answer to an exercise. The message is empty if it is right."""
        try:
            return {"message": check_text(lesson, number, exercise, answer)}
        except BaseException as error:
            return _described(error)
        finally:
            _flush()

    def clear(self):
        """Forget what the cells have defined."""
        for name in set(self.names) - self.kept:
            del self.names[name]
        return {}


def _claims_in_a_box(rows, check=course.claims):
    """Check as the lesson does; then the page lists each claim with the reason for its tolerance."""
    with contextlib.redirect_stdout(io.StringIO()):  # "all 14 claims hold" would be a second count on the page
        check(rows)
    live_page.claims(json.dumps([[claim, reason] for claim, _, reason in rows]))


def _described(error, name=""):
    """The error for the page: its last line, the line of the cell where it arose, and the traceback of the cell."""
    error.__traceback__ = error.__traceback__.tb_next  # without the frame of this file
    syntax = isinstance(error, SyntaxError)
    said = error.msg if syntax else str(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    return {
        "error": f"{type(error).__name__}: {said}" if said else type(error).__name__,
        "line": error.lineno if syntax and error.filename == name else frames[-1].lineno if frames else None,
        "traceback": "".join(traceback.format_exception(error)),
        "interrupted": isinstance(error, KeyboardInterrupt),
    }


def _flush():
    sys.stdout.flush()
    sys.stderr.flush()
