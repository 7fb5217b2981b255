"""log.csv: whole rows in the file at any time, and what is read back after an interruption."""

import os

import pytest

from fcn_from_scratch.training.log import Log, Row, read, recovered

ROWS = [
    Row(1, 1.79175949, 0.01, 0.5),
    Row(2, 0.25, 1e-10, 1.25, 0.125, 0.5),
    Row(3, 123456789.0, 0.0, 7200.0, None, None),
]
TEXT = """step,loss,lr,seconds,mean_iu,pixel_accuracy
1,1.79175949,0.01,0.500,,
2,0.25,1e-10,1.250,0.125000,0.500000
3,123456789,0,7200.000,,
"""


def halved(step):
    """A schedule: the rate of a step, which counts from 0."""
    return 0.5**step


def test_the_file(tmp_path):
    log = Log(tmp_path / "log.csv")
    assert (tmp_path / "log.csv").read_bytes().decode() == TEXT.splitlines(keepends=True)[0]
    for number, row in enumerate(ROWS, start=2):
        log.add(row)
        assert (tmp_path / "log.csv").read_bytes().decode() == "".join(TEXT.splitlines(keepends=True)[:number])
    assert read(tmp_path / "log.csv") == {row.step: row for row in ROWS}
    assert os.listdir(tmp_path) == ["log.csv"]


def test_without_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = Log()
    log.add(ROWS[0])
    log.score(mean_iu=0.5, pixel_accuracy=1.0)
    log.sync()
    assert log.rows == [ROWS[0]._replace(mean_iu=0.5, pixel_accuracy=1.0)]
    assert os.listdir(tmp_path) == []
    assert read(tmp_path / "gone.csv") == {}


def test_scores_of_the_last_row(tmp_path):
    log = Log(tmp_path / "log.csv", ROWS)
    log.score(mean_iu=0.25, pixel_accuracy=0.75)
    lines = (tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()
    assert lines[:3] == TEXT.splitlines()[:3]
    assert lines[3:] == ["3,123456789,0,7200.000,0.250000,0.750000"]


def test_rows_of_lost_steps_are_cut(tmp_path):
    (tmp_path / "log.csv").write_text(TEXT)
    rows = recovered(tmp_path / "log.csv", [1.79175949, 0.25], halved)
    assert rows == ROWS[:2]
    Log(tmp_path / "log.csv", rows).add(Row(3, 1.0, 0.25, 2.0))
    assert (tmp_path / "log.csv").read_text(encoding="utf-8") == "".join(TEXT.splitlines(keepends=True)[:3]) + (
        "3,1,0.25,2.000,,\n"
    )


@pytest.mark.parametrize("length", range(len(TEXT)))
def test_a_file_that_ends_anywhere(tmp_path, length):
    """A row that is not there as a whole is filled from the checkpoint. A cut number is never read as a number."""
    (tmp_path / "log.csv").write_text(TEXT[:length])
    rows = recovered(tmp_path / "log.csv", [row.loss for row in ROWS], halved)
    whole = max(TEXT[:length].count("\n") - 1, 0)
    assert rows[:whole] == ROWS[:whole]
    assert rows[whole:] == [Row(row.step, row.loss, halved(row.step - 1)) for row in ROWS[whole:]]


@pytest.mark.parametrize("line", ["2,0.25,1e-10,1.250,0.125000", "2,a,1e-10,1.250,,", "2.0,1,1,1,,", "", "\0\xff"])
def test_a_damaged_row(tmp_path, line):
    lines = TEXT.splitlines()
    (tmp_path / "log.csv").write_text("\n".join([*lines[:2], line, lines[3], ""]), encoding="latin-1")
    rows = recovered(tmp_path / "log.csv", [row.loss for row in ROWS], halved)
    assert rows == [ROWS[0], Row(2, 0.25, 0.5), ROWS[2]]


def test_line_ends_of_other_systems(tmp_path):
    """An editor may have saved the file."""
    (tmp_path / "log.csv").write_bytes(TEXT.replace("\n", "\r\n").encode())
    assert list(read(tmp_path / "log.csv").values()) == ROWS
