"""FCNs that upsample by nearest neighbour: each pixel has the scores of the nearest cell."""

import numpy as np
import pytest
from arrays import close, refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import geometry
from fcn_from_scratch.dense import cell_mask
from fcn_from_scratch.gradcheck import layer_check
from fcn_from_scratch.layers import NearestUpsample
from fcn_from_scratch.models import build

MINIS = ["mini_fcn32s", "mini_fcn16s", "mini_fcn8s", "mini_fcn4s"]
# name: crop offsets. Cell 0 of score_fr stands at 12.5, of pool4 at -91.5, of pool3 at -95.5. A cell becomes two around
# its centre: upscore2 starts at 12.5 - 8 = 4.5, six cells of 16 inside pool4; upscore_pool4 at 4.5 - 4 = 0.5, twelve
# cells of 8 inside pool3. To the image: 12.5 - 15.5 = 4.5 - 7.5 = 0.5 - 3.5 = -3.
OFFSETS = {"fcn32s": [3], "fcn16s": [6, 3], "fcn8s": [6, 12, 3]}


def offsets(net):
    return [offset for offset, _ in (*(fuse.offset for _, _, fuse in net.skips), net.crop.offset)]


def randomised(name, rng, **options):
    net = build(name, 3, width=3, dtype=np.float64, seed=1, upsampling="nearest", **options)
    for key, array in net.params.items():
        if key.startswith("score"):
            array[...] = rng.normal(size=array.shape)
        elif key.endswith("bias"):
            array[...] = rng.uniform(0.1, 0.5, size=array.shape)
    return net


@pytest.mark.parametrize("name", OFFSETS)
def test_crops_follow_from_the_geometry(name):
    net = build(name, 2, width=1, upsampling="nearest")
    assert offsets(net) == OFFSETS[name]
    assert isinstance(net.upscore, NearestUpsample)
    assert {layer.scale for _, layer, _ in net.skips} <= {(2, 2)}
    assert geometry.sizes_that_fit(net, range(1, 400)) == list(range(1, 400))


@pytest.mark.parametrize("name", MINIS)
def test_at_lesson_size_nothing_is_cut_off_in_front(name):
    """Cell 0 of pool i lies in the middle of the first 2**i pixels: there its block begins, at pixel 0."""
    net = build(name, 2, width=1, upsampling="nearest")
    assert offsets(net) == [0] * (1 + len(net.skips))


@pytest.mark.parametrize(("name", "options"), [("mini_fcn32s", {}), ("fcn32s", {}), ("mini_fcn32s", {"fc6_kernel": 2})])
def test_each_pixel_has_the_scores_of_its_nearest_cell(name, options, rng):
    net = build(name, 3, width=1, dtype=np.float64, upsampling="nearest", **options).eval()
    for array in net.score_fr.params.values():
        array[...] = rng.normal(size=array.shape)
    x = rng.normal(size=(2, 3, 45, 70))
    coarse = net.score_fr(net.trunk(x)[0])
    start, stride = geometry.receptive_field(net).start, 32
    nearest = [np.floor((np.arange(n) - start) / stride + 0.5).astype(int) for n in (45, 70)]
    np.testing.assert_array_equal(net(x), coarse[:, :, nearest[0][:, None], nearest[1]])


def test_the_cells_are_those_of_patchwise_training(rng):
    """Pixels that share their scores share their fate in cell_mask."""
    net = randomised("mini_fcn32s", rng)
    y = net(rng.normal(size=(1, 3, 70, 101)))[0, 0]
    kept = cell_mask((1, 70, 101), geometry.receptive_field(net), 0.5, rng)[0]
    assert 0 < kept.mean() < 1
    assert not set(y[kept]) & set(y[~kept])


@given(size=st.tuples(*[st.integers(1, 100)] * 2), name=st.sampled_from(MINIS), fc6_kernel=st.integers(1, 4))
def test_scores_have_the_size_of_any_image(size, name, fc6_kernel):
    net = build(name, 2, width=1, fc6_kernel=fc6_kernel, upsampling="nearest").eval()
    x = np.zeros((1, 3, *size), np.float32)
    assert net(x).shape == (1, 2, *size)
    maps, (top, pools) = geometry.map_sizes(net, size), net.trunk(x)
    scores = net.score_fr(top)
    for pool, upscore, fuse in net.skips:
        scores = fuse(upscore(scores), pools[pool])
        assert maps[fuse.name].size == scores.shape[2:]


@pytest.mark.parametrize("name", MINIS)
def test_gradients(name, rng):
    net = randomised(name, rng)
    errors = layer_check(net, rng.normal(size=(2, 3, 21, 38)), rng, directions=2, eps=1e-6)
    assert errors.keys() == {"dx", *net.params}
    assert max(errors.values()) < 1e-7


def test_it_has_no_more_parameters_than_fixed_upsampling(rng):
    nearest, fixed = (build("mini_fcn8s", 3, width=2, upsampling=word) for word in ("nearest", "fixed"))
    nearest.load_state_dict(fixed.state_dict())
    for key, array in fixed.params.items():
        close(nearest.params[key], array)


@pytest.mark.parametrize("name", ["fcn_alexnet", "fcn_googlenet"])
def test_scores_that_stand_on_pixels_have_no_block_around_them(name):
    with refuses("cells apart, which is not a whole number: no crop aligns them"):
        build(name, 2, width=2, upsampling="nearest")
