"""`fcn segment --tile`: the labels of the whole picture, in the memory of a tile."""

import numpy as np
import pytest
from cli_runs import noise, predictions
from PIL import Image

from fcn_from_scratch.cli import memory_check, segment_tiles
from fcn_from_scratch.dense import TiledPredictor
from fcn_from_scratch.lab import memory
from fcn_from_scratch.training import evaluation


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(noise(300, 420, seed=1)).save(path)
    return path


def labels(folder):
    with Image.open(folder / "photo_labels.png") as picture:
        return np.asarray(picture)


def test_the_labels_of_the_whole_picture(done, varied, photo, tmp_path):
    command = "segment", photo, "--weights", varied.path, "--model", "mini_fcn8s", "--out"
    whole = done(*command, tmp_path / "whole")
    tiled = done(*command, tmp_path / "tiled", "--tile", 256)
    expected = predictions(varied.model, np.asarray(Image.open(photo)))
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(labels(tmp_path / "whole"), expected)
    np.testing.assert_array_equal(labels(tmp_path / "tiled"), expected)
    assert "tiles" not in whole
    line = next(line for line in tiled.splitlines() if "photo.png" in line)
    count, share = line.split(" s, ")[1].removesuffix(" more work than the whole").split(" tiles with ")
    assert int(count) == len(TiledPredictor(varied.model, 256).plan((300, 420))) > 1
    assert int(share.removesuffix("%")) > 0


def test_a_picture_smaller_than_a_tile(done, varied, photo, tmp_path):
    out = done(
        *("segment", photo, "--weights", varied.path, "--model", "mini_fcn8s", "--tile", "--out", tmp_path / "o")
    )
    assert "tiles" not in out
    np.testing.assert_array_equal(labels(tmp_path / "o"), predictions(varied.model, np.asarray(Image.open(photo))))


def test_two_heads(fcn, photo, tmp_path):
    command = "segment", photo, "--random-weights", "--model", "mini_fcn16s_two_heads", "--num-classes", 4, "--out"
    segmented = [tmp_path / name for name in ("whole", "tiled")]
    for folder, more in zip(segmented, ((), ("--tile", 256))):
        status, _, err = fcn(*command, folder, *more)
        assert status == 0, err
    np.testing.assert_array_equal(*map(labels, segmented))


@pytest.mark.parametrize("value", ["0", "-5", "large", "1.5"])
def test_a_wrong_size(mistake, varied, photo, value):
    err = mistake("segment", photo, "--weights", varied.path, "--model", "mini_fcn8s", f"--tile={value}")
    assert "--tile" in err
    assert repr(value) in err


def test_a_picture_is_no_size(mistake, varied, photo):
    err = mistake("segment", "--weights", varied.path, "--model", "mini_fcn8s", "--tile", photo)
    assert "--tile" in err


def test_a_size_that_is_too_small(mistake, done, varied, photo, tmp_path):
    command = "segment", photo, "--weights", varied.path, "--model", "mini_fcn8s", "--out", tmp_path / "out", "--tile"
    err = mistake(*command, 100)
    assert "tiles of 100 pixels are too small" in err
    done(*command, int(err.split("use ")[1].split()[0]))


def test_with_the_zero_frame(mistake, varied, photo):
    command = "segment", photo, "--weights", varied.path, "--model", "mini_fcn8s"
    assert "exclude each other" in mistake(*command, "--tile", "--zero-frame")


class TestMemory:
    def test_the_message_advises_tiles(self, fcn, varied, photo, tmp_path, monkeypatch):
        """Where the whole picture does not fit, but a tile does. With --tile the command then works."""
        monkeypatch.setattr(memory_check, "SIZE", 256)
        room = memory_check.needed(varied.model, (300, 300))[0]
        monkeypatch.setattr(memory, "room", lambda: room)
        command = "segment", photo, "--weights", varied.path, "--model", "mini_fcn8s", "--out", tmp_path / "out"
        status, _, err = fcn(*command)
        assert status == 2
        assert "--tile predicts it in tiles, with the same result; --max-size" in err
        assert fcn(*command, "--tile", 256)[0] == 0

    def test_a_tile_that_does_not_fit_either(self, mistake, varied, photo, monkeypatch):
        room = memory_check.needed(varied.model, (150, 150))[0]
        monkeypatch.setattr(memory, "room", lambda: room)
        command = "segment", photo, "--weights", varied.path, "--model", "mini_fcn8s"
        assert "--tile" not in mistake(*command)
        err = mistake(*command, "--tile", 256)
        assert "photo.png is 300x420 pixels" in err

    def test_the_scores_are_never_whole(self, varied, monkeypatch):
        """A very large picture's scores take 84 bytes for each pixel. Only those of a tile exist at a time."""
        seen, found = [], evaluation._classes
        monkeypatch.setattr(evaluation, "_classes", lambda model, s: seen.append(s.shape[2:]) or found(model, s))
        evaluation.segment(TiledPredictor(varied.model, 256), noise(300, 420, seed=1))
        assert len(seen) > 1
        assert max(map(max, seen)) <= 256


def test_every_option_is_explained(fcn):
    status, out, _ = fcn("segment", "--help")
    assert status == 0
    assert str(segment_tiles.SIZE) in " ".join(out.split())
