"""audit finds what would spoil a training run, and finds nothing in good data."""

import numpy as np
from PIL import Image

from fcn_from_scratch.datasets import Folder, Shapes, audit, count_ids


def test_good_data_gives_no_findings(folder):
    assert audit(Folder(folder, "all")) == []
    assert audit(Shapes(40)) == []


def test_each_broken_sample_is_named(folder):
    dataset = Folder(folder, "all", num_classes=3)
    (folder / "images" / "b.png").write_bytes(b"oops")
    Image.fromarray(np.full((6, 8), 9, np.uint8)).save(folder / "labels" / "d.png")
    Image.fromarray(np.zeros((5, 8), np.uint8)).save(folder / "labels" / "f.png")
    findings = audit(dataset)
    assert len(findings) == 3
    for finding, word in zip(findings, ("b.png cannot be read", "id 9", "6x8")):
        assert word in finding
    assert len(audit(dataset, limit=2)) == 1


def test_classes_and_samples_that_teach_nothing_are_named(folder):
    Image.fromarray(np.full((6, 8), 255, np.uint8)).save(folder / "labels" / "c.png")
    findings = audit(Folder(folder, "all", num_classes=5))
    assert findings == [
        "c: every pixel is ignored (255), so it teaches nothing",
        "never seen in 7 samples: class 3, class 4",
    ]


def test_masks_of_0_and_255_are_found(tmp_path, pair, recwarn):
    pair(tmp_path / "images", tmp_path / "labels", "a", ids=(0, 255, 255, 255))
    findings = audit(Folder(tmp_path, num_classes=2))
    assert any("save the foreground as 1" in finding for finding in findings)


def test_ids_are_counted_without_reading_pictures(folder):
    dataset = Folder(folder, "all")
    expected = sum((sample.labels == 1).sum() for sample in dataset)
    for path in (folder / "images").iterdir():
        path.write_bytes(b"")
    assert count_ids(dataset)[1] == expected
    assert count_ids(dataset).sum() == 7 * 48
    assert count_ids(dataset, limit=2).sum() == 2 * 48
