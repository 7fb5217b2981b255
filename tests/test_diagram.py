"""The drawing of FCN-8s shows the numbers that it is given."""

import io
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, Rectangle

from fcn_from_scratch import diagram
from fcn_from_scratch.diagram import COLUMNS, Map, row, side

SIZES = {
    **{"image": 70, "pool1": 35, "pool2": 18, "pool3": 11, "pool4": 7, "pool5": 6, "fc6": 4, "fc7": 3},
    **{
        "score_fr": 3,
        "upscore2": 5,
        "score_pool4": 7,
        "upscore_pool4": 8,
        "score_pool3": 11,
        "upscore8": 60,
        "crop": 50,
    },
}
CROPS = {"score_pool4": 1, "score_pool3": 2, "crop": 6}


@pytest.fixture
def figure():
    rng = np.random.default_rng(0)
    maps = {}
    for name, size in SIZES.items():
        heat = "score" in name
        picture = rng.normal(size=(size, size)) if heat else rng.integers(256, size=(size, size, 3), dtype=np.uint8)
        maps[name] = Map(picture, size, 21 if heat else 77, 9)
    return diagram.fcn8s(maps, CROPS, 10, (15, 20, 1), {"cat": (0, 50)}, "a note")


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_visible()]


def test_every_map_is_drawn_with_its_size(figure):
    ax = figure.axes[0]
    assert len(ax.images) == len(SIZES)
    for image, (name, size) in zip(ax.images, SIZES.items()):
        half = side(size) / 2
        x, y = COLUMNS[name], row(name)
        assert image.get_extent() == [x - half, x + half, y - half, y + half]
        assert image.get_array().shape[:2] == (size, size)
    words = texts(figure)
    assert {"70x70x77", "35x35x77", "3x3x21", "60x60x21", "50x50"} <= set(words)
    assert {"input", "output", "pool1", "score_pool4", "upscore8"} <= set(words)


def test_maps_do_not_overlap(figure):
    """In a row, each map ends before the next one begins, with room for the sheets behind it."""
    for y in {row(name) for name in SIZES}:
        ends = sorted((COLUMNS[n] - side(s) / 2, COLUMNS[n] + side(s) / 2) for n, s in SIZES.items() if row(n) == y)
        assert all(right + 0.14 < left for (_, right), (left, _) in pairwise(ends))


def test_larger_maps_are_drawn_larger():
    sides = [side(size) for size in (1, 16, 22, 500, 700)]
    assert sides == sorted(sides)
    assert side(700) == pytest.approx(1.8)


def test_dashed_windows_are_the_crops(figure):
    """A crop from cell 1 of 7 that keeps 5 cells: its window begins after 1/7 of the side, and is 5/7 of it wide."""
    windows = [p for p in figure.axes[0].patches if isinstance(p, Rectangle) and p.get_linestyle() == "--"]
    found = {round(w.get_x() + w.get_width() / 2, 6): w for w in windows}
    assert len(windows) == 3
    for name, kept in (("score_pool4", 5), ("score_pool3", 8), ("upscore8", 50)):
        first = CROPS["crop" if name == "upscore8" else name]
        s, size = side(SIZES[name]), SIZES[name]
        left = COLUMNS[name] - s / 2 + s * first / size
        window = found[round(left + s * kept / size / 2, 6)]
        assert window.get_x() == pytest.approx(left)
        assert window.get_width() == pytest.approx(s * kept / size)
        assert window.get_y() + window.get_height() == pytest.approx(row(name) + s / 2 - s * first / size)
    words = texts(figure)
    assert {"from\n1", "from\n2", "from\n6"} <= set(words)


def test_receptive_field_is_drawn_on_the_padded_image(figure):
    """It begins at pixel 15 of the image, which is pixel 25 of 70 with the padding, and has 20 pixels."""
    yellow = [p for p in figure.axes[0].patches if to_hex(p.get_edgecolor()) == diagram.FIELD]
    s = side(70)
    box = max(yellow, key=lambda p: p.get_width())
    assert box.get_x() == pytest.approx(COLUMNS["image"] - s / 2 + s * 25 / 70)
    assert box.get_y() + box.get_height() == pytest.approx(row("image") + s / 2 - s * 25 / 70)
    assert box.get_width() == pytest.approx(s * 20 / 70)
    assert len(yellow) == 3  # on the image, on fc7 and on score_fr
    assert any("one cell of fc7 sees\n20x20 pixels" in text for text in texts(figure))


def test_two_sums_and_all_words(figure):
    ax = figure.axes[0]
    assert len([p for p in ax.patches if isinstance(p, Circle)]) == 2
    words = [text[3:] for text in texts(figure) if text[1:3] == "  "]
    assert [text[0] for text in texts(figure) if text[1:3] == "  "] == list("ABCDEFGHIJKLM")
    assert {"padding", "skip", "fusion", "crop offset", "label map", "transposed convolution"} <= set(words)
    assert "10 zeros on each side" in texts(figure)
    assert "cat" in texts(figure)
    assert "a note" in texts(figure)
    assert figure.get_suptitle() == "FCN-8s on a photograph of 50x50 pixels"


def test_parts_show_everything_once(figure):
    """Each map and each of the words is in one part, at the scale of the whole, and nothing is cut through.

    Also after the figure was written with another resolution than that of the screen.
    """
    figure.savefig(io.BytesIO(), dpi=150)
    words = [text for text in texts(figure) if text[1:3] == "  " or text in SIZES]
    seen = []
    for name, (left, right) in diagram.PARTS.items():
        cut = diagram.part(figure, name)
        assert cut.get_size_inches() == pytest.approx((right - left, diagram.HEIGHT))
        assert cut.axes[0].get_xlim() == (left, right)
        assert cut.get_suptitle() == f"FCN-8s, the {name} part"
        seen += [text for text in texts(cut) if text in words]
    assert sorted(seen) == sorted(words)


def test_the_portrait_and_its_person_fit_each_other():
    """The face is the person's, the upper corners are the wall and the flag, the lower edge is the suit."""
    photo, person = diagram.portrait()
    assert photo.shape == (500, 500, 3)
    assert person.shape == (500, 500)
    assert person[100:300, 200:320].all()
    assert not person[:20, :100].any()
    assert not person[:20, -100:].any()
    assert person[-1, 100:400].all()
    red, blue = photo[..., 0].astype(int), photo[..., 2].astype(int)
    assert (red > blue)[140:280, 200:320].mean() > 0.9
    assert (blue > red)[50:300, 400:].mean() > 0.9
