"""`fcn segment` from end to end."""

import numpy as np
import pytest
from cli_runs import TINY, VOC_COLOURS, noise, predictions
from PIL import Image

from fcn_from_scratch import datasets
from fcn_from_scratch.cli import segment, segment_figure
from fcn_from_scratch.datasets.camvid import camvid_palette
from fcn_from_scratch.models import zero_frame
from fcn_from_scratch.models.zero_frame import run_trunk
from fcn_from_scratch.training import SGD, Trainer, checkpoint


class TestSegment:
    @pytest.mark.parametrize(("height", "width"), [(1, 1), (37, 61), (61, 37), (5, 96), (64, 32)])
    def test_pngs_of_any_size(self, done, varied, tmp_path, height, width):
        image = noise(height, width, seed=4)
        Image.fromarray(image).save(tmp_path / "photo.png")
        out = done(
            *("segment", tmp_path / "photo.png", "--weights", varied.path, "--model", "mini_fcn8s"),
            *("--out", tmp_path / "out"),
        )
        assert f"photo.png: {width}x{height}, " in out
        assert {p.name for p in (tmp_path / "out").iterdir()} == {
            f"photo_{kind}.png" for kind in ("labels", "colour", "overlay", "figure")
        }
        expected = predictions(varied.model, image)
        assert len(np.unique(expected)) > 1 or height == 1
        with Image.open(tmp_path / "out" / "photo_labels.png") as picture:
            assert (picture.mode, picture.size) == ("P", (width, height))
            np.testing.assert_array_equal(np.asarray(picture), expected)
            assert np.reshape(picture.getpalette(), (-1, 3))[:6].tolist() == [list(rgb) for rgb in VOC_COLOURS]
        colours = np.array(VOC_COLOURS, np.uint8)[expected]
        with Image.open(tmp_path / "out" / "photo_colour.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), colours)
        with Image.open(tmp_path / "out" / "photo_overlay.png") as picture:
            mixed = np.where((expected == 0)[:, :, None], image, (image.astype(float) + colours) / 2)
            assert np.abs(np.asarray(picture) - mixed).max() <= 0.5, "class 0 is black: it is not tinted"

    def test_the_zero_frame(self, done, fcn, tmp_path, monkeypatch):
        """By default it is on, and the labels are those of the whole computation. Only who asks for it with a network
        that has none is refused, in one line."""
        photos, calls = [tmp_path / f"{number}.png" for number in range(3)], []
        for number, (photo, width) in enumerate(zip(photos, (40, 40, 33))):
            Image.fromarray(noise(30, width, seed=number)).save(photo)

        def counting(trunk, x):
            calls.append(x.shape)
            return run_trunk(trunk, x)

        monkeypatch.setattr(zero_frame, "run_trunk", counting)
        done("train", "--model", "fcn32s", *TINY, "--steps", 2, "--out", tmp_path / "run")
        command = ["segment", *photos, "--weights", tmp_path / "run" / "checkpoint.npz", "--out"]
        calls.clear()  # those of the run's validation
        done(*command, tmp_path / "plain", "--no-zero-frame")
        assert not calls
        for folder, option in (("framed", ()), ("asked", ("--zero-frame",))):
            done(*command, tmp_path / folder, *option)
            assert calls == [(1, 3, 30, 40), (1, 3, 30, 40), (1, 3, 30, 33)]
            calls.clear()
        for photo in photos:
            name = f"{photo.stem}_labels.png"
            assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "framed" / name).read_bytes()

        words = ["--model", "mini_unpool", "--random-weights"]
        assert fcn("segment", photos[0], *words, "--out", tmp_path / "other")[0] == 0
        status, _, err = fcn("segment", photos[0], *words, "--zero-frame", "--out", tmp_path / "x")
        assert status == 2
        assert "the zero frame takes FCN-32s" in err.splitlines()[-1]

    def test_shares(self, done, varied, tmp_path):
        image = noise(48, 64, seed=4)
        Image.fromarray(image).save(tmp_path / "photo.png")
        out = done(
            *("segment", tmp_path / "photo.png", "--weights", varied.path, "--model", "mini_fcn8s"),
            *("--out", tmp_path / "out"),
        )
        counts = np.bincount(predictions(varied.model, image).ravel(), minlength=6)
        first = int(counts.argmax())
        assert f"64x48, {first} {100 * counts[first] / counts.sum():.0f} %" in out, "a plain file has no class names"

    def test_a_photo_taken_upright(self, done, varied, tmp_path):
        """EXIF orientation 6: the picture must be turned a quarter to the right."""
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(noise(40, 56)).save(tmp_path / "phone.jpg", exif=exif, quality=95)
        with Image.open(tmp_path / "phone.jpg") as picture:
            upright = np.rot90(np.asarray(picture), -1)
        done(
            *("segment", tmp_path / "phone.jpg", "--weights", varied.path, "--model", "mini_fcn8s"),
            *("--out", tmp_path / "out"),
        )
        with Image.open(tmp_path / "out" / "phone_labels.png") as picture:
            assert picture.size == (40, 56)
            np.testing.assert_array_equal(np.asarray(picture), predictions(varied.model, upright))

    def test_a_checkpoint_says_how_pictures_are_prepared(self, done, varied, tmp_path):
        """The means and the channel order come from the checkpoint, not from the defaults of the network."""
        batches = datasets.Batches(datasets.Shapes(2, 32), 1, varied.model.transform)
        own = {"mean": [10, 20, 30], "order": "RGB", "scale": 1, "std": [50, 50, 50]}
        run = Trainer(varied.model, SGD(varied.model, 0.1), batches)
        checkpoint.save(tmp_path / "own.npz", run, {"transform": own})
        image = noise(40, 48, seed=4)
        Image.fromarray(image).save(tmp_path / "photo.png")
        done("segment", tmp_path / "photo.png", "--weights", tmp_path / "own.npz", "--out", tmp_path / "out")
        x = (image - np.float32((10, 20, 30))) * np.float32(1 / 50)
        expected = varied.model(x.transpose(2, 0, 1)[None]).argmax(axis=1)[0]
        assert (expected != predictions(varied.model, image)).any()
        with Image.open(tmp_path / "out" / "photo_labels.png") as picture:
            assert (np.asarray(picture) == expected).mean() > 0.999, "rounding may flip a tie"

    def test_several_pictures_of_all_kinds(self, done, trained, tmp_path):
        image = noise(30, 26)
        Image.fromarray(image[:, :, 0]).save(tmp_path / "grey.png")
        Image.fromarray(np.dstack([image, image[:, :, :1]])).save(tmp_path / "clear.png")
        Image.fromarray(image).convert("CMYK").save(tmp_path / "print.jpg")
        Image.fromarray(image).quantize(16).save(tmp_path / "gif.gif")
        photos = [tmp_path / name for name in ("grey.png", "clear.png", "print.jpg", "gif.gif")]
        out = done("segment", *photos, "--weights", trained.checkpoint, "--out", tmp_path / "out")
        names = datasets.Shapes(1, 32).classes
        for line, photo in zip(out.splitlines(), photos):
            assert line.startswith(f"{photo}: 26x30, ")
            assert line.split("26x30, ")[1].split()[0] in names
            with Image.open(tmp_path / "out" / f"{photo.stem}_labels.png") as picture:
                assert np.asarray(picture).max() <= 5
                assert picture.size == (26, 30)


class TestOverlay:
    def test_only_black_is_not_tinted(self, tmp_path):
        """VOC's background keeps every pixel. CamVid's class 0 is the sky, which is grey: it is tinted."""
        image = np.full((4, 6, 3), 200, np.uint8)
        labels = np.repeat([[0, 1, 2]], 4, axis=0).repeat(2, axis=1)
        for palette, expected in (
            (datasets.voc_palette(), [[200, 200, 200], [164, 100, 100], [100, 164, 100]]),
            (camvid_palette(), [[164, 164, 164], [164, 100, 100], [196, 196, 164]]),
        ):
            segment.write_results(tmp_path / "photo", image, labels, ["a", "b", "c"], palette)
            with Image.open(tmp_path / "photo_overlay.png") as picture:
                assert np.asarray(picture)[2, ::2].tolist() == expected


class TestLegend:
    LABELS = np.zeros((100, 100), int)
    LABELS[:40] = 3
    LABELS[0, :4] = 2
    CLASSES = ("ground", "cat", "dog", "owl", "fox")

    def test_only_classes_that_occur(self):
        found = segment_figure.occurring(self.LABELS, self.CLASSES)
        assert [(each.number, each.name, each.share) for each in found] == [
            (0, "ground", 0.6),
            (3, "owl", 0.3996),
            (2, "dog", 0.0004),
        ]
        assert segment_figure.in_words(found) == "ground 60 %, owl 40 %, dog <1 %"
        image = np.zeros((100, 100, 3), np.uint8)
        figure = segment_figure.draw(image, image, found, datasets.voc_palette())
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == ["ground 60 % (not tinted)", "owl 40 %", "dog <1 %"]
        colours = [np.rint(255 * np.array(patch.get_facecolor()[:3])).tolist() for patch in legend.get_patches()]
        assert colours == [list(VOC_COLOURS[number]) for number in (0, 3, 2)]

    @pytest.mark.parametrize(("number", "words"), [(5, None), (6, ", and 1 more class"), (9, ", and 4 more classes")])
    def test_a_line_is_short(self, number, words):
        found = segment_figure.occurring(np.arange(number)[None], list(map(str, range(number))))
        line = segment_figure.in_words(found)
        assert line.count("%") == 5
        assert words is None or line.endswith(words)

    @pytest.mark.parametrize("size", [(1, 1), (5, 96), (600, 60), (375, 500), (500, 375), (2400, 3200)])
    @pytest.mark.parametrize("number", [1, 21, 60])
    def test_it_fits_beside_the_pictures(self, size, number):
        """Every entry lies in the figure and beside the pictures, and a picture is shown at a visible size."""
        image = np.zeros((*size, 3), np.uint8)
        names = [f"a class number {each}" for each in range(number)]
        found = [segment_figure.Found(each, name, 1 / number) for each, name in enumerate(names)]
        figure = segment_figure.draw(image, image, found, datasets.voc_palette())
        figure.draw_without_rendering()
        box, whole = figure.legends[0].get_window_extent(), figure.bbox
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
        for ax in figure.axes:
            shown = ax.get_window_extent()
            assert shown.x1 <= box.x0
            assert max(shown.width, shown.height) > 2.5 * figure.dpi
