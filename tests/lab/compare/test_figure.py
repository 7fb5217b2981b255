"""The slides show every method with its numbers, at most seven on a slide, all on the same scales."""

import numpy as np
import pytest
from compare_rows import COARSE, NAN, ONE_SEED, PHOTO, ROWS, STITCHED, row

from fcn_from_scratch import viz
from fcn_from_scratch.datasets import Sample
from fcn_from_scratch.lab.compare import METHODS, Spread
from fcn_from_scratch.lab.compare.figure import COLUMNS, STRIPS, examples, parts, slides

ALL = [row._replace(method=name) for name, row in zip(METHODS, ROWS * len(METHODS))]


def titles(figure):
    return [axis.get_title().replace("-\n", "-").replace("\n", " ") for axis in figure.axes if axis.get_title()]


def strips(figure):
    """name of a strip -> the Axes with its bars, from top to bottom."""
    return dict(zip(STRIPS, (axis for axis in figure.axes if axis.patches)))


def outputs_of(rows, truth):
    return {row.method: np.full(truth.shape, number % 6) for number, row in enumerate(rows)}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("a b", ["a b"]),
        ("a b c 32s e f g", ["a b c 32s e f g"]),
        ("a b c 32s e f g h", ["a b c 32s e f g", "32s h"]),
        ("a b c 32s e f g h i j k l m n", ["a b c 32s e f g", "32s h i j k l m", "32s n"]),
        ("a b c d e f g h i", ["a b c d e f g", "h i"]),
    ],
)
def test_at_most_seven_methods_are_on_a_slide(names, expected):
    assert parts(names.split()) == [one.split() for one in expected]


@pytest.mark.parametrize("labelled", [True, False])
def test_a_slide_shows_every_method(labelled, val, tmp_path):
    image, truth, name = val[0]
    outputs, rows = outputs_of(ROWS, truth), ROWS if labelled else PHOTO
    (figure,) = slides(rows, Sample(image, truth if labelled else None, name), outputs, val, "what it is", "where from")
    expected = ["input", *(METHODS[row.method].title for row in ROWS), *(["truth"] if labelled else [])]
    assert titles(figure) == expected
    pictures = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    assert len(pictures) == (6 if labelled else 3)
    assert np.array_equal(pictures[2], viz.colourise(outputs["stitch"], val.palette))
    if labelled:
        assert np.array_equal(pictures[5], viz.error_map(truth, outputs["stitch"]))
    bars = [axis.patches for axis in figure.axes if axis.patches]
    assert len(bars) == len(STRIPS) - (not labelled)
    assert [patch.get_height() for patch in bars[-1]] == [row.costs.peak_mib for row in ROWS]
    assert [text.get_text() for text in figure.texts][1:] == ["what it is", "where from"]
    assert viz.save_figure(figure, tmp_path / "slide.png").stat().st_size > 5000


def test_all_methods_take_two_slides_with_the_same_scales(val):
    outputs = outputs_of(ALL, val[0].labels)
    first, second = slides(ALL, val[0], outputs, val)
    shown = [titles(figure)[1:-1] for figure in (first, second)]
    assert len(shown[0]) == COLUMNS >= len(shown[1])
    assert METHODS["32s"].title in set(shown[0]) & set(shown[1])
    assert {*shown[0], *shown[1]} == {method.title for method in METHODS.values()}
    assert first.get_size_inches()[0] / first.get_size_inches()[1] == pytest.approx(16 / 9, abs=0.01)
    for one, other in zip(strips(first).values(), strips(second).values(), strict=True):
        assert one.get_ylim() == other.get_ylim()
        assert one.get_yscale() == other.get_yscale()


def test_nothing_overlaps_or_leaves_the_slide(val):
    for figure in slides(ALL, val[0], outputs_of(ALL, val[0].labels), val, "about", "the foot, " * 30):
        figure.canvas.draw()
        width, height = figure.canvas.get_width_height()
        boxes = [axis.get_tightbbox() for axis in figure.axes if axis.images or axis.patches]
        boxes += [*(legend.get_window_extent() for legend in figure.legends), figure.texts[-1].get_window_extent()]
        for place, box in enumerate(boxes):
            assert box.x0 >= 0
            assert box.y0 >= 0
            assert box.x1 <= width
            assert box.y1 <= height
            assert not any(box.padded(-2).overlaps(other.padded(-2)) for other in boxes[:place])


def test_text_can_be_read_from_the_back_row(val):
    (figure,) = slides(ROWS, val[0], outputs_of(ROWS, val[0].labels), val, "about", "foot")
    sizes = [axis.title.get_fontsize() for axis in figure.axes if axis.get_title()]
    sizes += [text.get_fontsize() for axis in strips(figure).values() for text in axis.texts]
    assert min(sizes) >= 12  # points, on a slide 13.33 inches wide


def test_a_strip_has_a_log_scale_if_one_bar_flattens_the_others(val):
    few = row("16s", Spread(0.6, NAN, 0.6, 0.6), (0.8,) * 5, Spread(0, NAN, 0, 0), COARSE, "16s")
    (figure,) = slides([*ROWS, few], val[0], outputs_of([*ROWS, few], val[0].labels), val)
    scales = {name: axis.get_yscale() for name, axis in strips(figure).items()}
    assert scales == {"mean_iu": "linear", "milliseconds": "log", "multiply_adds": "log", "peak_mib": "linear"}
    words = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert {"ms, log", "multiply-adds, log", "MiB"} <= set(words)
    low, high = strips(figure)["milliseconds"].get_ylim()
    assert 0 < low < COARSE.milliseconds < STITCHED.milliseconds < high


def test_lines_on_the_bars_reach_from_the_lowest_to_the_highest_seed(val):
    (figure,) = slides(ROWS, val[0], outputs_of(ROWS, val[0].labels), val)
    (lines,) = strips(figure)["mean_iu"].collections
    ends = [(float(one[0, 1]), float(one[1, 1])) for one in lines.get_segments()]
    assert ends == [pytest.approx((0.57, 0.59)), pytest.approx((0.57, 0.61))]
    alone = [
        row._replace(qualities={name: Spread(one.mean, NAN, one.mean, one.mean) for name, one in row.qualities.items()})
        for row in ONE_SEED
    ]
    (figure,) = slides(alone, val[0], outputs_of(ROWS, val[0].labels), val)
    assert not strips(figure)["mean_iu"].collections


def test_bars_stand_below_their_pictures(val):
    for figure in slides(ALL, val[0], outputs_of(ALL, val[0].labels), val):
        boxes = [axis.get_position() for axis in figure.axes if axis.images]
        middles = sorted({round((box.x0 + box.x1) / 2, 6) for box in boxes})[1:]
        for axis in strips(figure).values():
            for patch, middle in zip(axis.patches, middles, strict=True):
                at = axis.transData.transform((patch.get_x() + patch.get_width() / 2, 1))[0]
                assert figure.transFigure.inverted().transform((at, 0))[0] == pytest.approx(middle, abs=1e-3)


def test_examples_show_several_pictures(val, tmp_path):
    samples = list(val)
    outputs = [outputs_of(ALL, sample.labels) for sample in samples]
    first, second = examples(samples, outputs, val, "about", "foot")
    assert titles(first)[:3] == ["input", "truth", METHODS["nearest"].title]
    pictures = [axis.images[0].get_array() for axis in first.axes if axis.images]
    assert len(pictures) == len(samples) * (2 + COLUMNS)
    for sample, picture in zip(samples, pictures[:: 2 + COLUMNS], strict=True):
        assert np.array_equal(picture, sample.image)
    assert viz.save_figure(second, tmp_path / "examples.png").stat().st_size > 5000
