"""The numbers of the interactive figures, as the package computes them, and the figures' frames on a page."""

import json
import re
import xml.etree.ElementTree as ElementTree
from itertools import product

import numpy as np
import pytest
from play_page import ROOT, interactive, interactive_data, interactive_skips, small_skips

from fcn_from_scratch import models
from fcn_from_scratch.metrics import ConfusionMatrix

NAMES = ("confusion", "impulse", "receptive-field", "shift-and-stitch", "skips")


@pytest.fixture(scope="module", autouse=True)
def hardly_trained():
    """The figure of the skips gets networks that are hardly trained: no test asks how good they are."""
    skips = interactive_data.DATA["skips"]
    interactive_data.DATA["skips"] = lambda: interactive_skips.predictions(*small_skips(), shown=(0, 3))
    clear()
    yield
    interactive_data.DATA["skips"] = skips
    clear()


def clear():
    interactive_data.data.cache_clear()
    interactive.still.cache_clear()


# --- receptive-field ----------------------------------------------------------------------------------------


def test_the_crops_are_the_papers():
    networks = interactive_data.data("receptive-field")["networks"]
    offsets = {name: [offset for _, offset in network["crops"]] for name, network in networks.items()}
    assert offsets == {"FCN-32s": [19], "FCN-16s": [5, 27], "FCN-8s": [5, 9, 31]}


def test_the_default_maps_are_those_of_lesson_6():
    maps = interactive_data.data("receptive-field")["networks"]["FCN-32s"]["maps"]
    assert maps["score_fr"] == [16, 404, 32, 12.5]
    assert maps["pool4"][2:] == [16, -91.5]
    assert maps["upscore"][0] == 544
    assert maps["upscore"][2:] == [1, -19]


def test_the_own_stack_begins_with_lesson_6s_example():
    own = interactive_data.data("receptive-field")["own"]
    assert own["maps"]["layer 3"] == [5, 8, 2, 3.5]


# --- shift-and-stitch ---------------------------------------------------------------------------------------

SETTINGS = list(product(("row", "picture"), ("drop", "shift"), interactive_data.FACTORS))


@pytest.mark.parametrize(("view", "form", "f"), SETTINGS)
def test_every_place_of_the_fine_map_is_filled_once_with_the_answer_of_its_own_window(view, form, f):
    data = interactive_data.data("shift-and-stitch")
    x = np.array([data["row"]] if view == "row" else data["picture"])
    windows = np.lib.stride_tricks.sliding_window_view(x, (1 if view == "row" else f, f))
    found = data["passes"][view][form][f]
    placed = np.full(windows.shape[:2], -1)
    for one in found["passes"]:
        for places, outputs in zip(one["places"], one["outputs"]):
            for place, output in zip(places, outputs):
                if place is not None:
                    assert placed[tuple(place)] == -1, "two outputs in one place"
                    placed[tuple(place)] = output
    assert np.array_equal(placed, windows.max(axis=(2, 3)))
    assert np.array_equal(found["stitched"], placed)
    assert len(found["passes"]) == (f if view == "row" else f * f)


def test_the_outputs_that_are_discarded_are_those_whose_window_holds_zeros_that_were_put_in_front():
    for f in interactive_data.FACTORS:
        for one in interactive_data.data("shift-and-stitch")["passes"]["picture"]["shift"][f]["passes"]:
            for i, j in np.ndindex(len(one["outputs"]), len(one["outputs"][0])):
                sees_zeros = f * i < one["down"] or f * j < one["right"]
                assert (one["places"][i][j] is None) == sees_zeros


# --- impulse ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", interactive_data.FACTORS)
def test_the_kernels_have_the_form_that_lesson_9_gives_them(f):
    kernels = interactive_data.data("impulse")["kernels"]
    assert kernels["nearest"][f] == [1] * f
    assert kernels["nails"][f] == [1] + [0] * (f - 1)
    rising = [(2 * a + 1) / (2 * f) for a in range(f)]  # 1 3 3 1 over 4 for f = 2
    assert np.allclose(kernels["bilinear"][f], rising + rising[::-1])


def test_an_impulse_becomes_the_kernel_and_ones_become_the_sum_of_all_kernels():
    data = interactive_data.data("impulse")
    for name, f in product(data["kernels"], interactive_data.FACTORS):
        kernel, spread = data["kernels"][name][f], data["spread"][name][f]
        first = f * (data["coarse"] // 2)
        wanted = np.zeros(f * (data["coarse"] - 1) + len(kernel))
        wanted[first : first + len(kernel)] = kernel
        assert np.allclose(spread["impulse"], wanted)
        stuffed = np.zeros(f * (data["coarse"] - 1) + 1)
        stuffed[::f] = 1
        assert np.allclose(spread["sum"], np.convolve(stuffed, kernel))


# --- confusion ----------------------------------------------------------------------------------------------


def test_the_matrix_counts_the_pixels_of_the_two_maps():
    data = interactive_data.data("confusion")
    counted = np.zeros((3, 3), int)
    for truth, prediction in zip(np.ravel(data["truth"]), np.ravel(data["prediction"])):
        if truth != data["void"]:
            counted[truth, prediction] += 1
    assert data["matrix"] == counted.tolist()
    assert data["scores"]["pixel_accuracy"] == np.trace(counted) / counted.sum()
    assert set(np.unique(data["truth"])) == {0, 1, 2, data["void"]}
    assert set(np.unique(data["prediction"])) == {0, 1, 2}


# --- skips --------------------------------------------------------------------------------------------------


def test_a_score_layer_that_is_switched_off_is_one_whose_weights_are_zero():
    nets, val = small_skips()
    x = np.stack([nets["8s"].transform(sample.image) for sample in val])
    labels = np.stack([sample.labels for sample in val])
    scores = interactive_data.data("skips")["scores"]
    seen = set()
    for name, switches in product(("8s", interactive_skips.STAGED), interactive_skips.every_switch()):
        copy = models.build("mini_fcn8s", len(val.classes), width=interactive_skips.WIDTH, fc6_kernel=2)
        state = dict(nets[name].state_dict())
        for head, on in zip(("score_fr", "score_pool4", "score_pool3"), switches):
            for kind in ("weight", "bias"):
                state[f"{head}.{kind}"] = state[f"{head}.{kind}"] * on
        copy.load_state_dict(state)
        guess = copy.eval()(x).argmax(axis=1)
        wanted = ConfusionMatrix(len(val.classes)).update(labels, guess).scores()["mean_iu"]
        way = f"{name} {''.join(str(int(on)) for on in switches)}"
        assert scores[way]["mean_iu"] == pytest.approx(wanted, abs=1e-4)
        seen.add(round(wanted, 6))
    assert len(seen) > 8, "the switches must make a difference here"


def test_switching_leaves_the_network_as_it_was():
    nets, val = small_skips()
    x = nets["8s"].transform(val[0].image)[None]
    before = nets["8s"](x)
    interactive_skips.switched(nets["8s"], x, (False, True, False))
    assert np.array_equal(nets["8s"](x), before)


def test_the_trained_predictions_are_kept(tmp_path, monkeypatch):
    runs, trained = [], small_skips()
    monkeypatch.setattr(interactive_skips, "train", lambda: runs.append(1) or trained)
    monkeypatch.setattr(interactive_skips, "SCENES", (0,))
    first = interactive_skips.skips_data(tmp_path)
    again = interactive_skips.skips_data(tmp_path)
    assert runs == [1]
    assert json.loads(json.dumps(first)) == again


# --- all of them --------------------------------------------------------------------------------------------


def test_write_makes_a_file_for_every_figure(tmp_path):
    interactive_data.write(tmp_path / "play")
    assert sorted(path.stem for path in (tmp_path / "play").iterdir()) == sorted(NAMES)
    for path in (tmp_path / "play").iterdir():
        assert path.stat().st_size < 200_000
        assert json.loads(path.read_text(encoding="utf-8"))


def test_every_figure_has_one_place_and_a_frame():
    assert sorted(name for _, _, name in interactive.PLACES) == sorted(NAMES) == sorted(interactive.FRAMES)


@pytest.mark.parametrize(("number", "heading", "name"), interactive.PLACES)
def test_the_section_where_a_figure_stands_exists_and_begins_with_a_paragraph(number, heading, name):
    (script,) = (ROOT / "lessons").glob(f"lesson_{number:02}_*.py")
    text = script.read_text(encoding="utf-8")
    found = re.search(rf"^# #+ {re.escape(heading)}\n(?:#\n)*# (\S.*)$", text, re.MULTILINE)
    assert found, f"lesson {number} has no section {heading!r}"
    assert not found[1].startswith(("#", "|", "    ")), "the section must begin with a paragraph"


@pytest.mark.parametrize("name", NAMES)
def test_the_frame_holds_a_still_picture_a_question_and_no_foreign_address(name):
    frame = interactive.html(name)
    assert f'<figure class="play" id="play-{name}"' in frame
    assert f'src="../_static/play/{name}.js"' in frame
    assert frame.count("?") >= 1
    assert "\n\n" not in frame, "a blank line would end the HTML block of a Markdown page"
    assert set(re.findall(r"https?://[^\"' <]+", frame)) == {"http://www.w3.org/2000/svg"}
    pictures = re.findall(r"<svg.*?</svg>", frame, re.DOTALL)
    assert pictures
    for picture in pictures:
        root = ElementTree.fromstring(picture)
        assert root.get("role") == "img"
        assert len(root.get("aria-label")) > 20
        assert len(list(root.iter())) > 5


@pytest.mark.parametrize("name", NAMES)
def test_introductions_are_short(name):
    title, introduction, question = interactive.FRAMES[name]
    assert len(title) < 60
    assert len(re.findall(r"[.:?](?: |$)", introduction)) <= 4
    assert question.endswith("?")


@pytest.mark.slow
def test_the_trained_networks_behave_as_lesson_12_says():
    scores = {way: row["mean_iu"] for way, row in interactive_skips.skips_data()["scores"].items()}
    assert scores["32s"] + 0.1 < scores["16s"] < scores["8s 111"] - 0.1
    assert scores["32s"] + 0.1 < scores[f"{interactive_skips.STAGED} 111"] < scores["8s 111"]
    assert scores["8s 110"] < scores["8s 111"] - 0.4, "without score_pool3, 8s loses nearly everything"
    assert scores["8s 011"] > scores["8s 111"] - 0.1, "without score_fr it loses hardly anything"
