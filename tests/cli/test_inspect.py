"""`fcn inspect`: the table, the crops, the sizes, and the answers to a user's mistakes."""

import re

import pytest

from fcn_from_scratch.cli import main


@pytest.fixture
def fcn(capsys):
    def run(*words):
        try:
            status = main(["inspect", *words])
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return run


def test_a_thin_fcn8s_has_the_papers_geometry(fcn):
    status, out, err = fcn("fcn8s", "--width", "1", "--num-classes", "2", "--size", "375x500")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "fcn8s, one image of 375x500, float32"
    assert re.match(r"conv1_1 +conv 3x3 pad 100 +1 +573x698 +3 +1 +-99 ", lines[2])
    assert re.search(r"\nfc6 +conv 7x7 +64 +12x16 +404 +32 +12.5 ", out)
    assert re.search(r"\nupscore8 +bilinear up 16x16 /8 +2 +440x568 +460 +1 +-31 ", out)
    assert re.search(r"\ntotal +[\d.]+ M +[\d,]+ +[\d.]+ MiB\n", out)
    assert [line for line in lines if ": offset" in line] == [
        "score_pool4: offset 5",
        "score_pool3: offset 9",
        "crop: offset 31",
    ]
    assert "  (0 - (-31)) / 1 = 31\n" in out
    assert lines[-3:] == [
        "  as built: every size fits (1 to 1499 pixels tried)",
        "  if every pool rounded down: images of 26 pixels and more fit",
        "  smallest padding of the first convolution with which all fit: 97",
    ]


def test_sizes_that_do_not_fit_are_counted(fcn):
    _, out, _ = fcn("fcn32s", "--width", "1", "--num-classes", "2")
    assert out.startswith("fcn32s, one image of 500x500,")
    expected = (
        "if every pool rounded down: 577 of 1499 sizes do not fit: those below 26, then 46, 47, 48, 49, 50, 51 ..."
    )
    assert expected in out


def test_options_reach_the_network(fcn):
    words = "--width 2 --pad 33 --fc6-kernel 2 --fc6-padding 0 --upsampling all_learned --size 64"
    status, out, _ = fcn("mini_fcn32s", *words.split())
    assert status == 0
    assert re.search(r"\nconv1_1 +conv 3x3 pad 33 +2 +128x128 ", out)
    assert re.search(r"\nupscore +up 64x64 /32 +21 ", out)


def test_a_classifier_takes_few_sizes_and_has_no_crop(fcn):
    status, out, _ = fcn("mini_classifier", "--width", "2")
    assert status == 0
    assert out.startswith("mini_classifier, one image of 96x96,")
    assert "offset" not in out
    assert out.endswith("  as built: images of 65 to 96 pixels fit\n")


def test_the_decoder_mirrors_the_trunk_and_crops_nothing(fcn):
    status, out, err = fcn("mini_unpool", "--width", "2", "--size", "33x50", "--num-classes", "4")
    assert (status, err) == (0, "")
    assert re.search(r"\nconv5_1 +conv 3x3 pad 1 +16 +3x4 +78 +16 +7.5 ", out)
    assert re.search(r"\nunpool5 +max-unpool +16 +3x4 +222 +16 +7.5 ", out)
    assert re.search(r"\nscore +conv 1x1 +4 +33x50 +284 +1 +0 ", out)
    assert "offset" not in out
    assert out.endswith("\nsizes\n  as built: every size fits (1 to 1499 pixels tried)\n")


def test_dilation_keeps_the_stride_and_stacked_features_the_grid(fcn):
    status, out, err = fcn("mini_fcn8s_dilated", "--width", "2", "--size", "33x50", "--num-classes", "4")
    assert (status, err) == (0, "")
    assert re.search(r"\npool5 +max-pool 2x2 dilated 2 +16 +5x7 +94 +8 +3.5 ", out)
    assert re.search(r"\nfc6 +conv 3x3 pad 4 dilated 4 +16 +5x7 +158 +8 +3.5 ", out)
    assert re.search(r"\nupscore +bilinear up 16x16 /8 +4 +48x64 ", out)
    assert "\ncrop: offset 4\n" in out
    status, out, err = fcn("mini_fcn8s_concat", "--width", "2", "--size", "33x50", "--num-classes", "4")
    assert (status, err) == (0, "")
    assert re.search(r"\nconcat_pool4 +concat +28 +3x4 ", out)
    assert re.search(r"\nmerge_pool3 +conv 3x3 pad 1 +8 +5x7 ", out)
    assert [line for line in out.splitlines() if ": offset" in line] == [
        *("crop_pool4: offset 1", "crop_pool3: offset 1", "crop: offset 4")
    ]


def test_nearest_neighbour_has_crops_of_its_own(fcn):
    status, out, _ = fcn("fcn16s", "--width", "1", "--num-classes", "2", "--upsampling", "nearest")
    assert status == 0
    assert re.search(r"\nupscore16 +nearest up +2 +512x512 +404 +1 +-3 ", out)
    assert [line for line in out.splitlines() if ": offset" in line] == ["score_pool4: offset 6", "crop: offset 3"]
    assert "each of its cells is spread by upscore2 over 2 cells of 16 pixels" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fcn9"], "there is no model 'fcn9'; the models are mini_classifier"),
        (["mini_fcn8s", "--size", "0x5"], "--size"),
        (["mini_fcn8s", "--width", "none"], "--width"),
        (["fcn32s", "--width", "1", "--pad", "60"], "raise pad, the first convolution's padding, by 21"),
        (["mini_fcn8s", "--pad", "-1"], "at least 0"),
        (["mini_classifier", "--upsampling", "fixed"], "mini_classifier has no option 'upsampling'"),
        (["mini_unpool", "--upsampling", "fixed"], "mini_unpool has no option 'upsampling'"),
        (["fcn_alexnet", "--width", "2", "--upsampling", "nearest"], "the grids lie 2.5 cells apart"),
        (
            ["mini_classifier", "--width", "1", "--size", "64x96"],
            "an image of 64x96 does not fit mini_classifier: Linear 'fc6' expects",
        ),
        (
            ["mini_classifier", "--width", "1", "--fc6-kernel", "60"],
            "an image of 1499x1499 does not fit mini_classifier",
        ),
        ([], "MODEL"),
    ],
)
def test_mistakes_are_one_line(words, message, fcn):
    status, out, err = fcn(*words)
    assert (status, out) == (2, "")
    assert message in err
    assert err.startswith("fcn: ")
    assert err.count("\n") == 1
