"""Pictures: colours pixel by pixel, figures by what they show, files by their bytes."""

import sys
import warnings
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from fcn_from_scratch import viz
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import segment_figure
from fcn_from_scratch.palette import voc_palette

LABELS = np.array([[0, 1, 255], [2, 2, 15]])


# --- colours ------------------------------------------------------------------------------------------------


def test_palette_is_the_one_of_the_voc_label_files():
    # colours as seen in the data set's label files: aeroplane, bicycle, bird, boat, bottle, ..., person, tv
    known = {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        3: (128, 128, 0),
        4: (0, 0, 128),
        7: (128, 128, 128),
        8: (64, 0, 0),
        15: (192, 128, 128),
        20: (0, 64, 128),
        255: (224, 224, 192),
    }
    palette = voc_palette()
    assert (palette.shape, palette.dtype) == ((256, 3), np.uint8)
    assert {i: tuple(palette[i].tolist()) for i in known} == known
    assert len({tuple(row) for row in palette.tolist()}) == 256


def test_palette_is_a_fresh_array():
    voc_palette()[0] = 9
    assert voc_palette()[0].tolist() == [0, 0, 0]


def test_colourise_looks_each_label_up():
    colours = viz.colourise(LABELS)
    assert colours.dtype == np.uint8
    for y, x in np.ndindex(LABELS.shape):
        assert colours[y, x].tolist() == voc_palette()[LABELS[y, x]].tolist()
    own = viz.colourise(np.array([[1, 0]]), palette=[(1, 2, 3), (4, 5, 6)])
    assert own.tolist() == [[[4, 5, 6], [1, 2, 3]]]


def test_colourise_refuses_ids_without_a_colour():
    with pytest.raises(ValueError, match="id 2"):
        viz.colourise(np.array([[2]]), palette=[(0, 0, 0), (1, 1, 1)])
    with pytest.raises(ValueError, match=r"\(H, W\)"):
        viz.colourise(np.zeros(3, int))
    with pytest.raises(ValueError, match="integers"):
        viz.colourise(np.zeros((2, 2)))


def test_overlay_leaves_the_background_and_mixes_the_rest():
    image = np.full((2, 3, 3), 100, np.uint8)
    mixed = viz.overlay(image, LABELS, alpha=0.25)
    assert mixed[0, 0].tolist() == [100, 100, 100]
    assert mixed[0, 1].tolist() == [107, 75, 75]  # .75 * 100 + .25 * (128, 0, 0)
    with pytest.raises(ValueError, match=r"\(2, 3, 3\).*\(4, 3, 3\)"):
        viz.overlay(np.zeros((4, 3, 3), np.uint8), LABELS)


def test_error_map_tells_right_wrong_and_ignored_apart():
    predictions = np.array([[0, 2, 1], [2, 0, 15]])
    kinds = {viz.RIGHT: "right", viz.WRONG: "wrong", viz.IGNORED: "ignored"}
    drawn = [[kinds[tuple(pixel)] for pixel in row] for row in viz.error_map(LABELS, predictions).tolist()]
    assert drawn == [["right", "wrong", "ignored"], ["right", "wrong", "right"]]
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        viz.error_map(LABELS, predictions.T)


# --- figures ------------------------------------------------------------------------------------------------


def example_panels():
    image = np.zeros((2, 3, 3), np.uint8)
    rows = [[image, LABELS, LABELS / 255], [image, None, LABELS]]
    return viz.panels(rows, ["image", "truth", "heat"], "two rows", ["one", "two"], classes=["ground", "car", "cat"])


def test_panels_place_pictures_titles_and_legend():
    figure = example_panels()
    assert isinstance(figure, Figure)
    assert [ax.get_title() for ax in figure.axes[:3]] == ["image", "truth", "heat"]
    assert [len(ax.images) for ax in figure.axes] == [1, 1, 1, 1, 0, 1]
    assert np.array_equal(figure.axes[1].images[0].get_array(), voc_palette()[LABELS])
    assert (figure.get_suptitle(), figure.axes[3].get_ylabel()) == ("two rows", "two")
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["ground", "car", "cat"]  # of the ids that occur, those that have a name


def test_panels_with_a_title_for_each_picture_leave_room_for_them():
    rows = [[np.zeros((4, 4, 3), np.uint8)] * 2] * 3
    one_row = viz.panels(rows, ["a", "b"])
    every = viz.panels(rows, list("abcdef"))
    assert [ax.get_title() for ax in every.axes] == list("abcdef")
    assert [ax.get_title() for ax in one_row.axes] == ["a", "b", "", "", "", ""]
    assert every.get_size_inches()[1] - one_row.get_size_inches()[1] == pytest.approx(2 * 0.35)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (3, 1)])
def test_panels_of_one_row_or_column(rows, columns):
    assert len(viz.panels([[LABELS] * columns] * rows).axes) == rows * columns


def test_curves_take_lists_and_pairs():
    figure = viz.curves({"a": [3, 2, 1], "b": ([0, 10], [1, 5])}, "step", "loss", caption="it falls", log=True)
    first, second = figure.axes[0].lines
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([0, 1, 2], [3, 2, 1])
    assert list(second.get_xdata()) == [0, 10]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_yscale()) == ("step", "log")
    assert figure.get_suptitle() == "it falls"


def test_bare_axes_have_no_ticks_and_no_border():
    _, axes = viz.new_figure(rows=2, columns=2)
    viz.bare(axes[:, 0])
    for bare, other in axes:
        assert not len(bare.get_xticks())
        assert not len(bare.get_yticks())
        assert not any(spine.get_visible() for spine in bare.spines.values())
        assert len(other.get_xticks())
        assert other.spines["left"].get_visible()


def test_a_frame_encloses_its_pixels_and_no_others():
    _, ax = viz.new_figure()
    ax.imshow(np.zeros((7, 9)))
    viz.frame(ax, top=1, left=2, height=3, width=5, colour="red")
    (box,) = ax.patches
    x0, y0, x1, y1 = box.get_bbox().extents
    inside = [(i, j) for i, j in np.ndindex(7, 9) if x0 < j < x1 and y0 < i < y1]
    assert inside == [(i, j) for i in (1, 2, 3) for j in (2, 3, 4, 5, 6)]
    assert not box.get_fill()


def test_drawing_leaves_the_global_settings_alone(tmp_path):
    names = set(matplotlib.rcParams) - {"backend"}  # asking for the backend would choose one
    before = {name: matplotlib.rcParams[name] for name in names}
    viz.save_figure(example_panels(), tmp_path / "a.png")
    assert {name: matplotlib.rcParams[name] for name in names} == before


# --- files --------------------------------------------------------------------------------------------------


def test_saved_figures_have_equal_bytes_and_no_metadata(tmp_path):
    first = viz.save_figure(example_panels(), tmp_path / "new" / "a.png")
    second = viz.save_figure(example_panels(), tmp_path / "new" / "b.png")
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as image:
        assert set(image.info) <= {"dpi"}
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.png", "b.png"]


def test_bare_names_go_to_the_figures_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FCN_FIGURES", str(tmp_path / "figures"))
    monkeypatch.chdir(tmp_path)
    path = viz.save_figure(viz.curves({"a": [1, 2]}, "x", "y"), "01_curve")
    assert path == tmp_path / "figures" / "01_curve.png"
    assert path.exists()
    assert capsys.readouterr().out.split() == ["figure", "figures/01_curve.png"]
    monkeypatch.delenv("FCN_FIGURES")
    assert viz.figures_folder().parts[-2:] == ("lessons", "figures")


def test_only_png_is_written(tmp_path):
    with pytest.raises(InputError, match=r"a\.jpg: figures are written as \.png"):
        viz.save_figure(viz.new_figure()[0], tmp_path / "a.jpg")


def test_an_unfinished_file_is_removed(tmp_path):
    class Broken(Figure):
        def savefig(self, file, **options):
            file.write(b"half")
            raise OSError("disk full")

    old = tmp_path / "a.png"
    old.write_bytes(b"old")
    with pytest.raises(OSError, match="disk full"):
        viz.save_figure(Broken(), old)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_index_png_keeps_the_ids_and_carries_the_palette(tmp_path):
    path = viz.save_index_png(tmp_path / "labels.png", LABELS)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert np.array_equal(np.array(image), LABELS)
        assert np.array_equal(np.array(image.convert("RGB")), voc_palette()[LABELS])
    with pytest.raises(ValueError, match="id 256"):
        viz.save_index_png(path, np.array([[256]]))


def test_show_writes_the_figure_and_returns_nothing(tmp_path, capsys):
    assert viz.show(example_panels(), tmp_path / "a.png") is None
    assert (tmp_path / "a.png").read_bytes() == viz.save_figure(example_panels(), tmp_path / "b.png").read_bytes()
    assert "figure" in capsys.readouterr().out


def test_show_displays_the_picture_in_a_notebook_only(tmp_path, monkeypatch):
    shown = []

    def ipython(shell):
        display = SimpleNamespace(display=shown.append, Image=lambda filename, alt: ("image", filename, alt))
        return SimpleNamespace(get_ipython=lambda: shell, display=display)

    for shell, count in ((None, 0), ("a kernel", 1)):
        monkeypatch.setitem(sys.modules, "IPython", ipython(shell))
        viz.show(example_panels(), tmp_path / "a.png")
        assert len(shown) == count
    assert shown == [("image", str(tmp_path / "a.png"), viz.alt_text(example_panels()))]


@pytest.fixture
def shown():
    """What `show` hands to a display that was set."""
    calls = []
    viz.set_display(lambda *arguments: calls.append(arguments))
    yield calls
    viz.set_display(None)


def test_a_display_receives_the_picture_and_no_file_is_written(shown, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FCN_FIGURES", str(tmp_path))
    viz.show(example_panels(), "07_example")
    viz.show(example_panels(), "07_example", alt="Two cats")
    (png, alt, name), (_, second_alt, _) = shown
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""
    assert (alt, second_alt, name) == (viz.alt_text(example_panels()), "Two cats", "07_example")
    assert png == viz.save_figure(example_panels(), tmp_path / "a.png").read_bytes()


def test_without_a_display_a_file_is_written_again(shown, tmp_path):
    viz.set_display(None)
    viz.show(example_panels(), tmp_path / "a.png")
    assert shown == []
    assert (tmp_path / "a.png").exists()


def test_alt_text_names_titles_axes_and_legends():
    figure, axes = viz.new_figure("The cost\nof a pass", columns=2, titles=["time", None])
    axes[0].set(xlabel="size", ylabel="seconds")
    axes[1].plot([1, 2], label="im2col")
    axes[1].legend()
    assert viz.alt_text(figure) == "The cost of a pass. time, seconds against size. legend: im2col."


def test_alt_text_says_nothing_twice_and_may_be_empty():
    figure, _axes = viz.new_figure(columns=2, titles=["same.", "same"])
    assert viz.alt_text(figure) == "same."
    assert viz.alt_text(viz.new_figure()[0]) == ""


ODD_NAMES = [
    "$\\frac{$",
    "$\\nosuch$",
    "$x$",
    "cost $ 5",
    "_hidden",
    "\\",
    "%s {0}",
    "a" * 5000,
    "",
    "a\tb",
    "a\nb",
    "\ud800",
]


class TestNamesOfClasses:
    """Whatever a class is called: the figure shows it as it is written."""

    @pytest.mark.parametrize("name", ODD_NAMES, ids=lambda name: ascii(name)[:20])
    def test_legends(self, tmp_path, name):
        labels = np.array([[0, 1]])
        figure = viz.panels([[labels]], classes=["bg", name], row_titles=[name])
        found = segment_figure.occurring(labels, ["bg", name])
        drawn = segment_figure.draw(
            np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8), found, viz.voc_palette()
        )
        for each in (figure, drawn):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                viz.save_figure(each, tmp_path / "x.png")
            (legend,) = each.legends
            assert len(legend.get_texts()) == 2
            told = next(text for text in legend.get_texts() if not text.get_text().startswith("bg"))
            assert told.get_text().isprintable()
            assert len(told.get_text()) < 100
            if name.isprintable() and len(name) < 50:
                assert told.get_text().startswith(name)
            assert told.get_parse_math() is False

    def test_mathematics_is_drawn_as_it_is_written(self):
        """$x$ takes more room than the letter alone."""
        widths = []
        for name in ("$x$", "x"):
            figure = viz.panels([[np.array([[1]])]], classes=["bg", name])
            figure.draw_without_rendering()
            widths.append(figure.legends[0].get_texts()[0].get_window_extent().width)
        assert widths[0] > 2 * widths[1]

    def test_letters_that_the_font_lacks_are_told_once(self, tmp_path):
        labels = np.array([[0, 1, 2, 3]])
        names = ["\u80cc\u666f", "\u8eca", "\U0001f697", "road"]
        with pytest.warns(UserWarning, match="the figures' font has no letters") as told:
            viz.save_figure(viz.panels([[labels]], classes=names), tmp_path / "x.png")
        assert len(told) == 1
        assert all(letter in str(told[0].message) for name in names[:3] for letter in name)
        assert "road" not in str(told[0].message)
