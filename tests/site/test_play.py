"""The interactive figures are operated in a browser, and what they show is compared with what the package computes.

The settings are drawn with a seed. The scripts' own arithmetic (geometry.js, upsampling.js, metrics.js) is also
compared on hundreds of settings, without a browser.
"""

import base64
import io
from functools import partial

import numpy as np
import pytest
from PIL import Image
from play_page import interactive, interactive_data, interactive_skips, numbers_of, operate, serve, small_skips

from fcn_from_scratch import dense, geometry, layers, models, ops
from fcn_from_scratch.metrics import METRICS, ConfusionMatrix

SEED = 15
VOID = 255


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The address of a page with all of the figures. Those of the skips come from networks that are hardly trained."""
    folder = tmp_path_factory.mktemp("play")
    skips = interactive_data.DATA["skips"]
    interactive_data.DATA["skips"] = lambda: interactive_skips.predictions(*small_skips(), shown=(0, 3))
    clear()
    interactive.write_page(folder)
    server, address = serve(folder)
    yield address
    server.shutdown()
    server.server_close()
    interactive_data.DATA["skips"] = skips
    clear()


def clear():
    interactive_data.data.cache_clear()
    interactive.still.cache_clear()


def figure(name, selector=""):
    return f"#play-{name} {selector}".strip()


def ready(name):
    return ["ready", figure(name)]


def number(text):
    return float(text.replace("−", "-"))


# --- receptive-field ----------------------------------------------------------------------------------------

PAPERS = {"FCN-32s": "fcn32s", "FCN-16s": "fcn16s", "FCN-8s": "fcn8s"}


def paper_net(title, pad):
    """The paper's network with another padding; None where it does not cover a picture."""
    try:
        return models.build(PAPERS[title], num_classes=2, width=1, pad=pad)
    except ValueError:  # the scores begin inside the picture
        return None


def own_chain(own):
    return [
        layers.Conv2d(1, 1, k, stride=s, padding=p, name=f"layer {i}") for i, (k, s, p) in enumerate(own["layers"], 1)
    ]


def own_way_up(chain):
    """The upsampling of models.head.way_up, for one's own layers: its kernel size, its stride, and the crop."""
    field = geometry.receptive_field(chain)
    k = 2 * field.stride - (field.axes[0].start.denominator == 1)
    up = layers.ConvTranspose2d(1, 1, k, stride=field.stride)
    return up, geometry.crop_offset(geometry.receptive_field(up, field), geometry.IMAGE)


def package_maps(net, image):
    """{name: [cells, size, stride, start]}, or None where the network cannot take the picture."""
    try:
        sizes = geometry.map_sizes(net, image)
    except ValueError:
        return None
    fields = geometry.grids(geometry.graph(net))
    return {name: [sizes[name].size[0], *fields[name]] for name in fields}


def random_own(rng):
    count = int(rng.integers(1, 6))
    stack = [[int(rng.integers(1, 8)), int(rng.integers(1, 4)), int(rng.integers(0, 4))] for _ in range(count)]
    return {"image": int(rng.integers(1, 41)), "layers": stack, "cell": 0}


def own_state(own):
    windows = [{"kernel": k, "stride": s, "padding": p} for k, s, p in own["layers"]]
    return {"network": "own", "own": {**own, "layers": windows}}


def test_the_scripts_geometry_is_the_packages_for_the_papers_networks():
    rng = np.random.default_rng(SEED)
    settings = [
        (str(rng.choice(list(PAPERS))), int(rng.integers(1, 641)), int(rng.integers(60, 131))) for _ in range(150)
    ]
    settings += [("FCN-32s", n, pad) for n in (1, 2, 3, 500) for pad in (95, 96, 97, 100)]
    nets = {(title, pad): paper_net(title, pad) for title, _, pad in settings}
    data = interactive_data.data("receptive-field")
    found = numbers_of(
        [
            {"way": "network", "data": data, "state": {"network": title, "image": image, "pad": pad}}
            for title, image, pad in settings
        ]
    )
    taken = 0
    for (title, image, pad), ours in zip(settings, found):
        net = nets[title, pad]
        theirs = net and package_maps(net, image)
        assert (ours["problem"] is None) == bool(theirs), (title, image, pad)
        if theirs:
            taken += 1
            assert ours["maps"] == {name: theirs[name] for name in ours["maps"]}, (title, image, pad)
            assert ours["crops"] == [[name, offset] for name, offset, _ in geometry.explain_crops(net)]
    assert 80 < taken < len(settings), "the settings must hold both kinds"


def test_the_scripts_geometry_is_the_packages_for_own_layers():
    rng = np.random.default_rng(SEED)
    settings = [random_own(rng) for _ in range(400)]
    data = interactive_data.data("receptive-field")
    found = numbers_of([{"way": "network", "data": data, "state": own_state(own)} for own in settings])
    kinds = set()
    for own, ours in zip(settings, found):
        chain = own_chain(own)
        theirs = package_maps(chain, own["image"])
        if theirs is None:
            kinds.add("no window")
            assert "no window left" in ours["problem"]
            continue
        assert {name: ours["maps"][name] for name in theirs} == theirs, own
        up, offset = own_way_up(chain)
        assert ours["crops"] == [["crop", offset]], own
        n = theirs[f"layer {len(chain)}"][0]
        _, cells, _ = up.output_shape((1, n, n))
        covers = offset >= 0 and cells >= offset + own["image"]
        kinds.add("covers" if covers else "does not cover")
        assert (ours["problem"] is None) == covers, own
    assert kinds == {"no window", "covers", "does not cover"}


def test_the_papers_networks_are_chosen_by_keyboard_and_their_numbers_are_geometrys(page):
    rng = np.random.default_rng(SEED)
    named, at = partial(figure, "receptive-field"), "input[name={}]".format
    steps, wanted = [ready("receptive-field")], []
    steps += [["text", named(".play-says")], ["table", named()]]
    wanted.append(("FCN-32s", 500, 100, 8, 8))
    title, image, pad = "FCN-32s", 500, 100
    for press in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        titles = list(PAPERS)
        title = titles[titles.index(title) + (1 if press == "ArrowRight" else -1)]
        steps.append(["press", named(at("network") + ":checked"), press])
        fewer, less = int(rng.integers(1, 9)), int(rng.integers(1, 7))
        image, pad = image - fewer, pad - less
        steps.append(["press", named(at("image")), "ArrowLeft", fewer])
        steps.append(["press", named(at("pad")), "ArrowLeft", less])
        row, column = (int(value) for value in rng.integers(0, 12, 2))
        steps += [["fill", named(at("row")), row], ["fill", named(at("column")), column]]
        steps += [["text", named(".play-says")], ["table", named()]]
        wanted.append((title, image, pad, row, column))
    readings = operate(page, steps)
    for (title, image, pad, row, column), says, rows in zip(wanted, readings[::2], readings[1::2]):
        net = models.build(PAPERS[title], num_classes=2, width=1, pad=pad)
        theirs = package_maps(net, image)
        for name, *numbers in rows:
            cells, size, stride, start = theirs["image" if name == "the picture" else name]
            shown = [number(text) if text else None for text in numbers]
            assert shown in ([cells, size, stride, start], [cells, None, stride, start])
        assert {"score_fr", "pool5", "the picture"} < {name for name, *_ in rows}
        size, stride, start = geometry.receptive_field(net)
        first = [start + stride * cell - (size - 1) / 2 for cell in (row, column)]
        assert f"Output ({row}, {column}) of score_fr sees {size} × {size} pixels" in says
        for word, low in zip(("rows", "columns"), first):
            assert f"{word} {low:g} to {low + size - 1:g}".replace("-", "−") in says
        for _, offset, _ in geometry.explain_crops(net):
            assert f" is {offset}." in says


def test_a_click_on_the_picture_chooses_the_output_that_lies_there(page):
    svg = figure("receptive-field", ".play-pair svg")
    steps = [
        ready("receptive-field"),
        ["drag", svg, [0.99, 0.01], [0.99, 0.01]],
        ["text", figure("receptive-field", ".play-says")],
    ]
    (says,) = operate(page, steps)
    assert says.startswith("Output (0, 15) of score_fr")


def test_the_way_back_up_shows_every_crop_as_it_arises(page):
    named = partial(figure, "receptive-field")
    steps = [ready("receptive-field"), ["check", named("input[value=FCN-8s]")], ["fill", named("input[name=step]"), 1]]
    for _ in range(6):
        steps += [["text", named(".play-step")], ["press", named("input[name=step]"), "ArrowRight"]]
    readings = operate(page, steps)
    assert ["(−11.5 − (−91.5)) / 16 = 5" in text for text in readings] == [False, True, False, False, False, False]
    assert "upscore_pool4 begins (" not in readings[2]
    assert "upscore_pool4 begins 1.5 · 8 = 12 pixels earlier: at −23.5." in readings[2]
    assert "= 9:" in readings[3]
    assert "begins 7.5 pixels earlier: at −31." in readings[4]
    assert "0 − (−31) = 31:" in readings[5]


def test_own_layers_are_added_and_their_numbers_are_geometrys(page):
    rng = np.random.default_rng(SEED + 1)
    named = partial(figure, "receptive-field")
    steps, wanted = [ready("receptive-field"), ["check", named("input[value=own]")]], []
    steps.append(["click", named("button:has-text('add a layer')")])
    while len(wanted) < 4:
        own = random_own(rng)
        own["layers"] = [[3, 1, 1], [2, 2, 0], [5, 1, 0], [3, 2, 1]] if not wanted else own["layers"]
        maps = package_maps(own_chain(own), own["image"])
        if len(own["layers"]) != 4 or maps is None:
            continue
        cell = int(rng.integers(0, maps["layer 4"][0]))
        steps.append(["fill", named("input[name=own-image]"), own["image"]])
        for i, window in enumerate(own["layers"], 1):
            for key, value in zip(("kernel", "stride", "padding"), window):
                steps.append(["fill", named(f"input[name={key}-{i}]"), value])
        steps += [["fill", named("input[name=own-cell]"), cell], ["table", named()], ["text", named(".play-says")]]
        wanted.append((own, maps, cell))
    readings = operate(page, steps)
    for (own, maps, cell), rows, says in zip(wanted, readings[::2], readings[1::2]):
        shown = {name: [number(text) for text in numbers] for name, *numbers in rows if "" not in numbers}
        assert shown == {"the picture" if name == "image" else name: numbers for name, numbers in maps.items()}, own
        _, size, stride, start = maps["layer 4"]
        assert f"Output {cell} sees {size} pixel" in says
        assert f"Its middle is at {start + stride * cell:g}.".replace("-", "−") in says
        _, offset = own_way_up(own_chain(own))
        covered = f"The crop of upscore is {offset}." in says
        assert covered or "do not cover the picture" in says


# --- shift-and-stitch ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["drop", "shift"])
@pytest.mark.parametrize("view", ["row", "picture"])
def test_pass_by_pass_the_fine_map_fills_with_what_the_package_stitches(page, view, form):
    rng = np.random.default_rng([SEED, len(view), len(form)])
    data = interactive_data.data("shift-and-stitch")
    x = np.array([data["row"]] if view == "row" else data["picture"], float)[None, None]
    named = partial(figure, "shift-and-stitch")
    steps, wanted = [ready("shift-and-stitch")], []
    steps += [["check", named(f"input[value={view}]")], ["check", named(f"input[value={form}]")]]
    for f in (3, 4):
        stride = (1, f) if view == "row" else (f, f)
        net = layers.MaxPool2d(stride)
        whole = dense.shift_and_stitch(net, x, stride, form)[0, 0]
        count = stride[0] * f
        number_of_pass = int(rng.integers(2, count + 1))
        steps.append(["press", named("input[name=f]"), "ArrowRight"])
        steps.append(["press", named("button:has-text('next pass')"), "Enter", number_of_pass - 1])
        steps.append(["attributes", named("g.fine .pixel"), "data-value"])
        steps.append(["attributes", named("g.fine .pixel.output"), "data-value"])
        steps.append(["text", named(".play-says")])
        shifts = list(np.ndindex(stride))
        sign = 1 if form == "drop" else -1
        shown = np.array([[""] * whole.shape[1]] * whole.shape[0], dtype=object)
        for down, right in shifts[:number_of_pass]:
            for i, j in np.ndindex(whole.shape):
                if (i - sign * down) % stride[0] == 0 and (j - sign * right) % f == 0:
                    shown[i, j] = f"{whole[i, j]:g}"
        down, right = shifts[number_of_pass - 1]
        now = [
            f"{whole[i, j]:g}"
            for i, j in np.ndindex(whole.shape)
            if (i - sign * down) % stride[0] == 0 and (j - sign * right) % f == 0
        ]
        wanted.append((list(shown.flat), now, f"Pass {number_of_pass - 1} of 0 to {count - 1}"))
    readings = operate(page, steps)
    for (shown, now, words), *found in zip(wanted, readings[::3], readings[1::3], readings[2::3]):
        assert found[0] == shown
        assert found[1] == now
        assert found[2].startswith(words)
        assert f"{sum(value != '' for value in shown)} of {len(shown)} places are filled." in found[2]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("form", ["drop", "shift"])
def test_no_line_and_no_word_crosses_a_word(page, form, width):
    """Of the row, at every stride and in every pass."""
    named = partial(figure, "shift-and-stitch")
    steps = [ready("shift-and-stitch"), ["check", named(f"input[value={form}]")]]
    for stride in (2, 3, 4):
        steps.append(["fill", named("input[name=f]"), stride])
        for number_of_pass in range(stride):
            steps += [["fill", named("input[name=pass]"), number_of_pass], ["crossed", named(".play-picture")]]
    crossed = operate(page, steps, width=width)
    assert len(crossed) == 9
    assert crossed == [[]] * 9


# --- impulse ------------------------------------------------------------------------------------------------


def upsampled(row, kernel, stride, padding):
    """Upsample with the package; the crop is done by hand, because a padding of both axes would cut the single row."""
    y = ops.conv_transpose2d(
        np.array(row, float)[None, None, None], np.array(kernel)[None, None, None], None, (1, stride)
    )
    return y[0, 0, 0, padding : y.shape[3] - padding]


def test_the_scripts_transposed_convolution_is_the_packages():
    rng = np.random.default_rng(SEED)
    settings = []
    for _ in range(300):
        k, stride, n = int(rng.integers(1, 9)), int(rng.integers(1, 5)), int(rng.integers(1, 9))
        padding = int(rng.integers(0, (stride * (n - 1) + k + 1) // 2))
        row, kernel = rng.normal(size=n).tolist(), rng.normal(size=k).tolist()
        settings.append({"row": row, "kernel": kernel, "stride": stride, "padding": padding})
    found = numbers_of([{"way": "spread", **setting} for setting in settings])
    for setting, ours in zip(settings, found):
        assert np.allclose(ours, upsampled(**setting), rtol=0, atol=1e-12)


def test_the_bars_and_the_sum_are_the_packages_transposed_convolution(page):
    rng = np.random.default_rng(SEED)
    named = partial(figure, "impulse")
    coarse = interactive_data.COARSE
    steps, wanted = [ready("impulse")], []
    for method in ("nearest", "bilinear", "nails", "own", "edited"):
        f, place = int(rng.integers(2, 5)), int(rng.integers(0, coarse))
        steps += [
            ["check", named(f"input[value={'bilinear' if method == 'edited' else method}]")],
            ["fill", named("input[name=f]"), f],
        ]
        kernel = {
            "nearest": np.ones(f),
            "nails": np.eye(f)[0],
            "own": np.array(interactive_data.LEARNED[f]),
        }.get(method, ops.bilinear_kernel(2 * f).sum(axis=0) / f)
        if method == "edited":
            tap, value = int(rng.integers(0, 2 * f)), round(float(rng.uniform(-1, 1)), 2)
            kernel[tap] = value
            steps.append(["fill", named(f"input[name=tap-{tap}]"), value])
            if 2 * f < 8:
                steps.append(["click", named("button:has-text('one tap more')")])
                kernel = np.append(kernel, 0)
        crop = int(rng.integers(0, len(kernel) // 2 + 1))
        steps += [["fill", named("input[name=crop]"), crop], ["fill", named("input[name=place]"), place]]
        steps += [["attributes", named(selector), "data-value"] for selector in (".bar.fine", "circle.sum")]
        steps += [["text", named(".play-says")], ["attributes", named("input[name=method]:checked"), "value"]]
        wanted.append((method, kernel, f, crop, place))
    readings = operate(page, steps)
    for (method, kernel, f, crop, place), *found in zip(wanted, *(readings[start::4] for start in range(4))):
        bars, sums, says, chosen = found
        impulse = np.eye(coarse)[place]
        assert np.allclose([float(value) for value in bars], upsampled(impulse, kernel, f, crop), atol=1e-12), method
        total = upsampled(np.ones(coarse), kernel, f, crop)
        assert np.allclose([float(value) for value in sums], total, atol=1e-12), method
        inside = total[len(total) // 2 - f : len(total) // 2 + f]
        assert ("partition of unity" in says) == bool(np.allclose(inside, 1)), method
        assert chosen == ["own" if method == "edited" else method]


# --- confusion ----------------------------------------------------------------------------------------------


def counted(truth, prediction, classes=3):
    matrix = ConfusionMatrix(classes, VOID).update(np.array(truth), np.array(prediction))
    return matrix.matrix.tolist(), matrix.scores()


def test_the_scripts_metrics_are_the_packages():
    rng = np.random.default_rng(SEED)
    settings = []
    for _ in range(300):
        classes, size = int(rng.integers(1, 6)), rng.integers(1, 7, 2)
        truth, prediction = rng.integers(0, rng.integers(1, classes + 1), size), rng.integers(0, classes, size)
        truth[rng.random(size) < rng.choice([0, 0.3, 1])] = VOID
        settings.append({"truth": truth.tolist(), "prediction": prediction.tolist(), "classes": classes})
    found = numbers_of([{"way": "metrics", "ignore": VOID, **setting} for setting in settings])
    empty = 0
    for setting, ours in zip(settings, found):
        matrix, scores = counted(**setting)
        assert ours["matrix"] == matrix
        for name in METRICS:
            if np.isnan(scores[name]):
                empty += 1
                assert ours[name] is None  # JSON has no NaN
            else:
                assert ours[name] == pytest.approx(scores[name], abs=1e-12)
    assert empty > 0, "maps in which every pixel is void must occur"


def shown_matrix(rows):
    return [[int(text) for text in row[1:4]] for row in rows]


def shown_metrics(texts):
    return [None if text == "–" else float(text.split()[0]) for text in texts]


def test_painting_with_keys_and_with_the_mouse_changes_the_matrix_and_the_metrics(page):
    rng = np.random.default_rng(SEED)
    data = interactive_data.data("confusion")
    maps = {"truth": np.array(data["truth"]), "prediction": np.array(data["prediction"])}
    size, cursor = len(maps["truth"]), np.array([2, 2])
    named = partial(figure, "confusion")
    reads = [["table", named("table")], ["texts", named(".play-metric b")]]
    steps, wanted = [ready("confusion"), *reads], [counted(**maps)]
    moves = {"ArrowUp": (-1, 0), "ArrowDown": (1, 0), "ArrowLeft": (0, -1), "ArrowRight": (0, 1)}
    for turn in range(10):
        which = ("truth", "prediction")[turn % 2]
        brush = int(rng.choice([0, 1, 2, VOID]))
        steps.append(["check", named(f"input[name=brush][value='{brush}']")])
        if turn % 3 == 2:  # the mouse paints a stroke along a row
            row, first = int(rng.integers(0, size)), int(rng.integers(0, size - 3))
            places = [[(column + 0.5) / size, (row + 0.5) / size] for column in (first, first + 3)]
            steps.append(["drag", named(f"svg[data-map={which}]"), *places])
            painted, cursor = [(row, column) for column in range(first, first + 4)], np.array([row, first + 3])
        else:
            keys = [str(key) for key in rng.choice(list(moves), 9)]
            for key in keys:
                cursor = np.clip(cursor + moves[key], 0, size - 1)
            steps += [["press", named(f"svg[data-map={which}]"), "Shift"], ["keys", [*keys, "Space"]]]
            painted = [tuple(cursor)]
        for place in painted:
            if not (which == "prediction" and brush == VOID):
                maps[which][place] = brush
        steps += reads
        wanted.append(counted(**maps))
    readings = operate(page, steps)
    for (matrix, scores), rows, texts in zip(wanted, readings[::2], readings[1::2]):
        assert shown_matrix(rows) == matrix
        assert shown_metrics(texts) == [pytest.approx(100 * scores[name], abs=0.051) for name in METRICS]
    assert len({str(matrix) for matrix, _ in wanted}) > 5


def test_the_buttons_predict_background_or_the_truth_and_start_again(page):
    data = interactive_data.data("confusion")
    truth, prediction = np.array(data["truth"]), np.array(data["prediction"])
    named = partial(figure, "confusion")
    steps = [ready("confusion")]
    for text in ("predict background everywhere", "predict the truth", "start again"):
        steps += [
            ["press", named(f"button:has-text('{text}')"), "Enter"],
            ["table", named("table")],
            ["texts", named(".play-metric b")],
        ]
    readings = operate(page, steps)
    for guess, rows, texts in zip((0 * truth, truth % VOID, prediction), readings[::2], readings[1::2]):
        matrix, scores = counted(truth, guess)
        assert shown_matrix(rows) == matrix
        assert shown_metrics(texts) == [pytest.approx(100 * scores[name], abs=0.051) for name in METRICS]


# --- skips --------------------------------------------------------------------------------------------------


def label_map(address, colours):
    """The class ids of a picture of a label map."""
    pixels = np.array(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGB"))
    ids = np.full(pixels.shape[:2], VOID)
    for label, colour in enumerate(colours):
        ids[(pixels == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=2)] = label
    return ids


def test_every_switch_shows_what_the_network_predicts_without_that_score_layer(page):
    nets, val = small_skips()
    data = interactive_data.data("skips")
    named = partial(figure, "skips")
    x = np.stack([nets["8s"].transform(sample.image) for sample in val])
    labels = np.stack([sample.labels for sample in val])
    reads = [
        ["attributes", named("image"), "href"],
        ["texts", named(".play-metric.now b")],
        ["text", named(".play-says")],
    ]
    steps, wanted = [ready("skips"), ["check", named("input[name=scene][value='1']")]], []
    for network, name in (("atonce", "8s"), ("staged", interactive_skips.STAGED)):
        steps.append(["check", named(f"input[value={network}]")])
        on = [True, True, True]
        for head in (2, 0, 2, 1):
            steps += [["press", named(f"input[name={interactive_skips.HEADS[head]}]"), "Space"], *reads]
            on[head] = not on[head]
            wanted.append(interactive_skips.switched(nets[name], x, on))
        steps += [["check", named(f"input[name={head}]")] for head in interactive_skips.HEADS]
    steps.append(["check", named("input[value=three]")])
    for way, name in (("32s", "32s"), ("16s", "16s"), ("8s 111", "8s")):
        steps += [["check", named(f"input[value='{way}']")], *reads]
        wanted.append(nets[name](x).argmax(axis=1))
    readings = operate(page, steps)
    for guess, *found in zip(wanted, readings[::3], readings[1::3], readings[2::3]):
        (_, truth, prediction), (shown,), says = found
        assert np.array_equal(label_map(truth, data["colours"]), labels[3])
        assert np.array_equal(label_map(prediction, data["colours"]), guess[3])
        iu = ConfusionMatrix(len(val.classes)).update(labels, guess).scores()["mean_iu"]
        assert float(shown) == pytest.approx(iu, abs=0.0006)
        assert f"mean IU {shown} on {len(val)} unseen scenes" in says
        right = (guess[3] == labels[3])[labels[3] != VOID].mean()
        told = float(says.split("In this scene ")[1].split("\xa0%")[0])
        assert told == pytest.approx(100 * right, abs=0.06)


# --- all of them --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_figures_fit_are_legible_and_axe_finds_nothing(page, width, scheme):
    steps = [ready(name) for name in interactive.FRAMES]
    steps += [["widths"], ["smallest", ".play svg text"], ["axe"]]
    steps += [
        ["check", figure("receptive-field", "input[value=own]")],
        ["check", figure("shift-and-stitch", "input[value=picture]")],
    ]
    steps += [
        ["check", figure("shift-and-stitch", "input[value=shift]")],
        ["check", figure("skips", "input[value=three]")],
    ]
    steps += [["widths"], ["smallest", ".play svg text"], ["axe"]]
    readings = operate(page, steps, width=width, scheme=scheme)
    for (wide, window), smallest, violations in (readings[:3], readings[3:]):
        assert wide <= window
        assert smallest > 11.9
        assert violations == []


def test_without_javascript_there_is_a_still_picture_of_each_figure(page):
    names = list(interactive.FRAMES)
    steps = [["visible", figure(name, ".play-still svg >> nth=0")] for name in names]
    steps += [["smallest", ".play-still svg text"], ["widths"]]
    *visible, smallest, (wide, window) = operate(page, steps, javascript=False, width=390)
    assert visible == [True] * len(names)
    assert smallest >= 10
    assert wide <= window


def test_the_sentence_of_each_figure_is_told_to_screen_readers(page):
    names = list(interactive.FRAMES)
    steps = [ready(name) for name in names] + [["attributes", figure(name, ".play-says"), "role"] for name in names]
    steps += [["text", figure(name, ".play-says")] for name in names]
    readings = operate(page, steps)
    assert readings[: len(names)] == [["status"]] * len(names)
    assert all(text.endswith(".") and any(map(str.isdigit, text)) for text in readings[len(names) :])


# --- what cannot be shown -----------------------------------------------------------------------------------


def test_a_picture_that_does_not_fit_is_told_in_a_sentence_and_the_figure_recovers(page):
    named = partial(figure, "receptive-field")
    says = ["text", named(".play-says")]
    steps = [ready("receptive-field"), ["fill", named("input[name=pad]"), 96], ["fill", named("input[name=image]"), 1]]
    steps += [says, ["fill", named("input[name=image]"), 400], ["fill", named("input[name=pad]"), 80], says]
    steps += [["check", named("input[value=own]")], ["fill", named("input[name=kernel-1]"), 9]]
    steps += [["fill", named("input[name=own-image]"), 3], says, ["fill", named("input[name=own-image]"), 30], says]
    tiny, late, empty, again = operate(page, steps)
    assert tiny == "This does not fit. fc6 has no window left: its input has 6 cells."
    assert "upscore begins 1 pixel after the picture" in late
    assert empty == "This does not fit. layer 1 has no window left: its input has 3 cells."
    assert again.startswith("Output 0 sees 14 pixels")
