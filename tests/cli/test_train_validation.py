"""`fcn train --val-every`, the figure of a run, plain lines of progress, and --tensorboard."""

import json
import sys

import numpy as np
import pytest
from cli_runs import TINY, arrays_of, log_of
from event_files import scalars
from PIL import Image

from fcn_from_scratch import progress, viz
from fcn_from_scratch.cli import train_figure
from fcn_from_scratch.training.log import Row

RUN = [*TINY, "--dropout", 0.3, "--seed", 3, "--steps", 5]


class TestValidation:
    def test_the_run_is_the_same(self, trained, done, tmp_path):
        """With --val-every the weights are equal bit for bit, and the scores are those of fcn evaluate."""
        out = done("train", *RUN, "--val-every", 2, "--out", tmp_path / "r")
        np.testing.assert_equal(
            {name: array for name, array in arrays_of(tmp_path / "r/checkpoint.npz").items() if name != "meta"},
            {name: array for name, array in arrays_of(trained.checkpoint).items() if name != "meta"},
        )
        rows = log_of(tmp_path / "r")[1:]
        assert [row[0] for row in rows if row[3]] == ["2", "4", "5"]
        assert [row[:3] for row in rows] == [row[:3] for row in log_of(trained.folder)[1:]]
        assert rows[-1] == log_of(trained.folder)[-1]
        best = max((row for row in rows if row[3]), key=lambda row: float(row[3]))
        told = f"the best of the validations, mean IU {100 * float(best[3]):.1f} % after step {best[0]}"
        assert told in out.splitlines()[-1]
        done("evaluate", "--weights", tmp_path / "r/best.npz", "--out", tmp_path / "e")
        scores = json.loads((tmp_path / "e/metrics.json").read_text(encoding="utf-8"))["scores"]
        assert [scores["mean_iu"], scores["pixel_accuracy"]] == pytest.approx(list(map(float, best[3:])), abs=1e-6)

    def test_lines_where_there_is_no_terminal(self, fcn, tmp_path, monkeypatch):
        monkeypatch.setattr(progress, "EVERY", 0.0)
        status, _, err = fcn("train", *RUN, "--val-every", 2, "--out", tmp_path / "r")
        assert status == 0
        lines = [line for line in err.splitlines() if line.startswith("step ")]
        assert [line.split(",")[0] for line in lines] == [f"step {number} of 5" for number in range(1, 6)]
        assert ["mean IU" in line for line in lines] == [False, True, True, True, True]
        first = float(log_of(tmp_path / "r")[2][3])
        assert f", mean IU {100 * first:.1f} %, " in lines[1]
        assert any(line.startswith("scoring: image 6 of 6") for line in err.splitlines())

    @pytest.mark.parametrize("words", [["--val-every", "0"], ["--val-every", "x"], ["--val-every"]])
    def test_mistakes(self, mistake, words, tmp_path):
        assert "argument --val-every" in mistake("train", *RUN, "--out", tmp_path / "r", *words)

    def test_a_wrong_rate_is_refused_before_it_is_doubted(self, fcn, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for words in (["--lr", -1], ["--lr", -1, "--recipe", "fcn8s-heavy"]):
            assert fcn("train", *words) == (2, "", "fcn: lr must not be negative; got -1.0\n")


class TestFigure:
    ROWS = tuple(
        Row(step, 2 / step, 0.1, float(step), *((step / 400, step / 250) if step % 50 == 0 else ()))
        for step in range(1, 201)
    )

    def test_scores_below_the_loss(self):
        figure = train_figure.draw(self.ROWS, {"step": 200, "mean_iu": 0.5})
        loss, scores = figure.axes
        np.testing.assert_allclose(loss.lines[0].get_xydata(), [(row.step, row.loss) for row in self.ROWS])
        mean = loss.lines[1].get_xydata()
        assert mean[0].tolist() == pytest.approx([5, np.mean([2, 1, 2 / 3, 1 / 2, 2 / 5])]), "of the last five steps"
        expected = [(50, 12.5), (100, 25), (150, 37.5), (200, 50)]
        np.testing.assert_allclose(scores.lines[0].get_xydata(), expected)
        np.testing.assert_allclose(scores.lines[1].get_xydata(), [(x, 1.6 * y) for x, y in expected])
        np.testing.assert_allclose(scores.lines[2].get_xydata(), [(200, 50)])
        words = [text.get_text() for text in scores.get_legend().get_texts()]
        assert words == ["mean IU", "pixel accuracy", "best mean IU: 50.0 % after step 200"]
        assert loss.get_xlim() == scores.get_xlim()

    def test_one_validation_is_no_curve(self):
        rows = [row._replace(mean_iu=None, pixel_accuracy=None) for row in self.ROWS[:-1]]
        assert len(train_figure.draw([*rows, self.ROWS[-1]], {"step": 200, "mean_iu": 0.5}).axes) == 1

    @pytest.mark.parametrize("rows", [ROWS[:1], ROWS[48:50], ROWS])
    def test_any_length(self, rows, tmp_path):
        path = viz.save_figure(train_figure.draw(rows, None), tmp_path / "figure.png")
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 1


class TestTensorboard:
    @pytest.fixture(autouse=True)
    def _installed(self):
        pytest.importorskip("tensorboardX", reason="an optional extra")

    def test_the_scalars_are_the_log(self, done, tmp_path):
        """Also after a break and for the steps before --tensorboard was given."""
        done("train", *RUN, "--schedule", "fixed", "--val-every", 2, "--out", tmp_path / "r")
        done("train", "--resume", "--steps", 6, "--tensorboard", "--out", tmp_path / "r")
        done("train", "--resume", "--steps", 8, "--out", tmp_path / "r")
        files = sorted((tmp_path / "r/tensorboard").iterdir())
        assert len(files) == 2
        found = scalars(files)
        rows = log_of(tmp_path / "r")[1:]
        assert len(rows) == 8
        for name, column in (("loss", 1), ("lr", 2), ("mean_iu", 3), ("pixel_accuracy", 4)):
            expected = {int(row[0]): float(row[column]) for row in rows if row[column]}
            assert found[name].keys() == expected.keys()
            for step, value in expected.items():
                assert found[name][step] == pytest.approx(value, rel=1e-5), (name, step)
        assert found.keys() == {"loss", "lr", "mean_iu", "pixel_accuracy"}

    def test_steps_that_are_computed_again_are_forgotten(self, done, tmp_path):
        """The process ended after step 5, its checkpoint was that of step 2: the second file starts at step 3."""
        done("train", *RUN[:-1], 2, "--schedule", "fixed", "--tensorboard", "--out", tmp_path / "r")
        kept = (tmp_path / "r/checkpoint.npz").read_bytes()
        done("train", "--resume", "--steps", 5, "--out", tmp_path / "r")
        (tmp_path / "r/checkpoint.npz").write_bytes(kept)
        done("train", "--resume", "--steps", 6, "--out", tmp_path / "r")
        files = sorted((tmp_path / "r/tensorboard").iterdir())
        assert len(files) == 3
        assert list(scalars(files[2:])["loss"]) == [3, 4, 5, 6]
        assert sorted(scalars(files)["loss"]) == [1, 2, 3, 4, 5, 6]


def test_tensorboard_is_not_installed(mistake, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    line = mistake("train", *RUN, "--tensorboard", "--out", tmp_path / "r")
    assert line == "fcn: --tensorboard needs the package tensorboardX: pip install 'fcn_from_scratch[tensorboard]'\n"
    assert not (tmp_path / "r").exists()
