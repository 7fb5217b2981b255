"""The log of a training run: one row for every step, written to log.csv as the run goes.

step             the number of steps taken so far, this one included
loss             the loss of this step's pictures, before the step
lr               the learning rate of this step
seconds          the time since the start of the run, validation included and interruptions left out
mean_iu          the scores on the validation split after this step, of the first head; empty if it was not scored then
pixel_accuracy

A killed process leaves whole rows, and perhaps a part of one. `recovered` reads what is there.
"""

import os
from typing import NamedTuple

from fcn_from_scratch.files import naming, open_regular, write_atomically


class Row(NamedTuple):
    """What is known of one step. None stands for an empty field."""

    step: int
    loss: float
    lr: float
    seconds: float | None = None
    mean_iu: float | None = None
    pixel_accuracy: float | None = None


_FORMATS = Row("d", ".9g", ".9g", ".3f", ".6f", ".6f")
HEADER = ",".join(Row._fields)


class Log:
    """The rows of a run, in memory and in a file. Every row is in the file as soon as it is added.

    path   the file; None keeps the rows in memory only
    rows   the rows of a run that goes on. The file is replaced by them
    """

    def __init__(self, path=None, rows=()):
        self.path, self.rows = path, list(rows)
        self.write_all()

    def add(self, row):
        """Add a row at the end."""
        self.rows.append(row)
        if self.path is not None:
            with naming(self.path), self.path.open("ab") as file:
                file.write(_line(row))

    def score(self, **scores):
        """Put scores into the last row."""
        row = self.rows[-1]._replace(**scores)
        if row != self.rows[-1]:
            self.rows[-1] = row
            self.write_all()

    def sync(self):
        """Wait until the rows are on the disk. Then a checkpoint that is written afterwards never lacks its rows."""
        if self.path is not None:
            with naming(self.path), self.path.open("ab") as file:
                os.fsync(file.fileno())

    def write_all(self):
        """Write the file anew."""
        if self.path is not None:
            content = HEADER.encode() + b"\n" + b"".join(map(_line, self.rows))
            write_atomically(self.path, lambda file: file.write(content))


def recovered(path, losses, schedule):
    """The rows of the first len(losses) steps: those of the file where it has them, else with loss and rate alone.

    losses     the loss of every step, from the checkpoint. Later rows of the file belong to steps that are lost
    schedule   step number from 0 -> learning rate
    """
    found = read(path)
    return [found.get(step) or Row(step, loss, schedule(step - 1)) for step, loss in enumerate(losses, start=1)]


def read(path):
    """The whole rows of a log file as a dict step -> Row; {} if there is no file."""
    try:
        with open_regular(path) as file:
            content = file.read().decode(errors="replace")
    except FileNotFoundError:
        return {}
    rows = map(_row, content.split("\n")[:-1])  # after the last line break: nothing, or a part of a row
    return {row.step: row for row in rows if row is not None}


def _row(line):
    """The Row of a line; None if it is the header or damaged."""
    words = line.rstrip("\r").split(",")
    if len(words) != len(Row._fields):
        return None
    try:
        step, loss, lr = int(words[0]), float(words[1]), float(words[2])
        return Row(step, loss, lr, *(float(word) if word else None for word in words[3:]))
    except ValueError:
        return None


def _line(row):
    words = ("" if value is None else format(value, form) for value, form in zip(row, _FORMATS))
    return (",".join(words) + "\n").encode()
