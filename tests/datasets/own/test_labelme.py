"""labelme's JSON: outlines are painted in their order, and __ignore__ is ignored."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.own.classes import read_classes
from fcn_from_scratch.datasets.own.decode import Decoder
from fcn_from_scratch.datasets.own.labelme import read_labelme

SIZE = (20, 30)
BOX = [[2, 3], [9, 3], [9, 11], [2, 11]]


def write(path, *shapes, **more):
    shapes = [{"label": label, "points": points, "shape_type": kind, **rest} for label, kind, points, rest in shapes]
    about = {"version": "5.4.1", "imageData": None, "imageHeight": SIZE[0], "imageWidth": SIZE[1]}
    path.write_text(json.dumps({"shapes": shapes, **about, **more}), encoding="utf-8")
    return path


def ids(path, *names):
    return Decoder(names, read_classes(",".join(names))).ids(read_labelme(path, "x.jpg", SIZE), path)


def drawn(draw):
    picture = Image.new("L", SIZE[::-1])
    draw(ImageDraw.Draw(picture))
    return np.array(picture)


def test_later_shapes_lie_above(tmp_path):
    """The expected labels are drawn as labelme's converter draws them: a value a shape, in order."""
    circle, corner = [[20, 10], [20, 15]], [[6, 8], [25, 19]]
    path = write(
        tmp_path / "x.json",
        ("cat", "polygon", BOX, {}),
        ("dog", "circle", circle, {}),
        ("cat", "rectangle", corner, {}),
        ("__ignore__", "polygon", [[25, 0], [29, 0], [29, 4], [25, 4]], {}),
    )

    def draw(canvas):
        canvas.polygon([tuple(point) for point in BOX], fill=1, outline=1)
        canvas.ellipse([15, 5, 25, 15], fill=2, outline=2)
        canvas.rectangle([(6, 8), (25, 19)], fill=1, outline=1)
        canvas.polygon([(25, 0), (29, 0), (29, 4), (25, 4)], fill=255, outline=255)

    np.testing.assert_array_equal(ids(path, "background", "cat", "dog"), drawn(draw))


@pytest.mark.parametrize("background", ["_background_", "Background", "background"])
def test_what_nothing_covers_is_the_background(tmp_path, background):
    path = write(tmp_path / "x.json", ("cat", "polygon", BOX, {}))
    found = ids(path, "cat", background)
    assert found[0, 0] == 1
    assert found[5, 5] == 0


def test_without_a_background_it_is_refused(tmp_path):
    path = write(tmp_path / "x.json", ("cat", "polygon", BOX, {}))
    with pytest.raises(InputError, match=r"marks nothing on 88\.0% .* --label-map 0:background, or 0:ignore"):
        ids(path, "cat", "dog")


def test_a_mask_is_pasted_at_its_corner(tmp_path):
    small = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)
    file = io.BytesIO()
    Image.fromarray(small * 255).save(file, "PNG")
    text = base64.b64encode(file.getvalue()).decode()
    path = write(tmp_path / "x.json", ("cat", "mask", [[4, 7], [6, 8]], {"mask": text}))
    expected = np.zeros(SIZE, np.uint8)
    expected[7:9, 4:7] = small
    np.testing.assert_array_equal(ids(path, "background", "cat"), expected)


@pytest.mark.parametrize("kind", ["rectangle", "rotation", "oriented_rectangle"])
def test_rectangles_of_four_corners(tmp_path, kind):
    path = write(tmp_path / "x.json", ("cat", kind, BOX, {}))
    expected = drawn(lambda canvas: canvas.rectangle([(2, 3), (9, 11)], fill=1, outline=1))
    np.testing.assert_array_equal(ids(path, "background", "cat"), expected)


@pytest.mark.parametrize("kind", ["line", "linestrip", "point", "points", "brush"])
def test_what_marks_no_area_is_refused(tmp_path, kind):
    path = write(tmp_path / "x.json", ("cat", kind, BOX, {}))
    with pytest.raises(InputError, match=rf"shape 1 \(cat\) has the type '{kind}', which marks no area"):
        read_labelme(path, None, SIZE)


def test_another_size_is_refused(tmp_path):
    path = write(tmp_path / "x.json")
    with pytest.raises(InputError, match=r"drawn on a picture of 20x30 pixels, but a\.jpg is 30x20"):
        read_labelme(path, "a.jpg", (30, 20))


def test_the_size_may_be_the_files(tmp_path):
    assert read_labelme(write(tmp_path / "x.json")).size == SIZE
    with pytest.raises(InputError, match="how large"):
        read_labelme(write(tmp_path / "x.json", imageHeight=None, imageWidth=None))


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"shapes": 3}',
        '{"shapes": [3]}',
        '{"shapes": [{"label": " "}]}',
        '{"shapes": [{"label": "cat"}]}',
        '{"shapes": [{"label": "cat", "points": [[0, 0]]}]}',
        '{"shapes": [{"label": "cat", "points": [[0, 0], [1, 1], [1e99, 0]]}]}',
        '{"shapes": [{"label": "cat", "points": [[0, 0], [1, 1], [NaN, 0]]}]}',
        '{"shapes": [{"label": "cat", "shape_type": "circle", "points": [[0, 0]]}]}',
        '{"shapes": [{"label": "cat", "shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": "!!"}]}',
        '{"shapes": [{"label": "cat", "shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": "AAAA"}]}',
        '{"shapes": [{"label": "cat", "shape_type": [], "points": []}]}',
        '{"shapes": [], "imageHeight": 1e9, "imageWidth": 30}',
        '{"shapes": [], "imageHeight": 9999999, "imageWidth": 99999}',
        '{"shapes": [], "shapes": []}',
        "{",
        "",
        "[" * 100_000,
        '{"a": ' + "9" * 5000 + "}",
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "odd.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"odd\.json"):
        read_labelme(path, "x.jpg", None if "imageHeight" in content else SIZE)


def test_a_mask_larger_than_the_picture_is_not_decoded(tmp_path):
    file = io.BytesIO()
    Image.new("1", (5000, 5000)).save(file, "PNG")
    text = base64.b64encode(file.getvalue()).decode()
    path = write(tmp_path / "x.json", ("cat", "mask", [[0, 0], [9, 9]], {"mask": text}))
    with pytest.raises(InputError, match="5000x5000 pixels, larger"):
        read_labelme(path, None, SIZE)
