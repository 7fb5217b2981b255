"""Every kernel case: the kernel computes what CuPy's functions compute, and its bytes are counted right."""

import sys

import numpy as np
import pytest
import standin
from arrays import close

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.kernels import emulator, launch
from fcn_from_scratch.kernels.table import KERNELS
from fcn_from_scratch.lab.bench import Work
from fcn_from_scratch.lab.bench.kernel_cases import CASES, Sizes

WORK = Work("mini_fcn8s", (44, 60), batch=2, options={"width": 4})
# Bytes of kernels that touch only a part of an array, or read what they write: not the sum of their arrays' bytes.
BY_HAND = {
    "sgd": 5 * 4 * 9 * 32 * 32,  # three arrays are read, two of them written; fc6 is 3x3, 32 to 32 channels
    "interlace": 2 * 4 * 2 * 22 * 30 * 4,
    "max_unpool_owner": (8 + 4) * 2 * 22 * 30 * 4,  # for each cell an index is read and a number written
    "max_pool_indices_backward": (4 + 8 + 8 + 4) * 2 * 22 * 30 * 4,
    "max_unpool_backward": (8 + 4 + 4) * 2 * 22 * 30 * 4,
}


@pytest.fixture(params=CASES)
def name(request):
    return request.param


@pytest.fixture
def case(name, monkeypatch):
    if emulator.missing():
        pytest.skip(emulator.missing())
    monkeypatch.setitem(sys.modules, "cupy", standin)
    return CASES[name](Sizes(WORK), standin, np.random.default_rng(1))


@pytest.fixture
def launched(monkeypatch):
    """(name, [(parameter, array)]) of every launch."""
    found, device = [], launch._device

    def watch(name, plan, arrays):
        found.append((name, list(zip(plan.pointers, arrays))))
        return device(name, plan, arrays)

    monkeypatch.setattr(launch, "_device", watch)
    return found


def test_every_kernel_has_a_case():
    assert set(CASES) == set(KERNELS)


def arrays(made):
    """The results of a case as NumPy arrays."""
    return [standin.asnumpy(array) for array in (made if isinstance(made, tuple) else (made,))]


def total(partials):
    """The sum over all blocks; each block wrote one row."""
    return partials.sum(axis=0)


def test_it_makes_what_cupy_makes(name, case):
    ours, theirs = arrays(case.ours()), arrays(case.theirs())
    if name == "pixel_weights":
        weight, wrong = total(ours[0])
        assert wrong == 0
        ours = [weight]
    if name == "softmax_cross_entropy":
        ours[1] = total(ours[1])
    if name == "confusion_matrix":  # the last cell: ours counts labels out of range, theirs ignored pixels
        ours, theirs = [total(ours[0])[:-1]], [theirs[0][:-1]]
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs):
        if not case.same:
            assert mine.shape == other.shape
            assert abs(mine.mean() - other.mean()) < 0.1
            continue
        assert np.ptp(other) > 0 or other.size == 1
        close(mine, other, 2e-5)


def test_it_launches_its_kernel_once(name, case, launched):
    case.ours()
    assert [launched_name for launched_name, _ in launched] == [name]


def test_its_bytes_are_those_of_the_arrays_it_is_launched_with(name, case, launched):
    case.ours()
    given = sum(array.nbytes for _, array in launched[0][1] if array is not None)
    assert case.moved == BY_HAND.get(name, given)
    assert (case.moved != given) == (name in BY_HAND)


def test_a_product_counts_its_operations():
    """conv2_1 is the largest 3x3 convolution here: 4 to 8 channels on 2 maps of 22x30 pixels. upscore8 maps 21 channels
    to 21 with a 16x16 kernel, and each coarse pixel is multiplied with the whole kernel."""
    sizes = Sizes(WORK)
    assert sizes.conv[:2] == ((2, 22, 30, 4), (2, 22, 30, 8))
    rng = np.random.default_rng(0)
    assert CASES["gemm"](sizes, standin, rng).flops == 2 * (2 * 22 * 30) * (9 * 4) * 8
    n, h, w, c = sizes.coarse
    assert (n, c, sizes.stride) == (2, 21, 8)
    assert CASES["conv_transpose"](sizes, standin, rng).flops == 2 * (2 * h * w) * 21 * 21 * 16 * 16
    assert CASES["bias_relu"](sizes, standin, rng).flops == 0


def test_the_sizes_of_fcn8s():
    """For 500x500 pixels, with the paper's padding."""
    sizes = Sizes(Work("fcn8s", (500, 500)))
    assert sizes.pooled == (1, 349, 349, 64)
    assert sizes.conv == ((1, 88, 88, 512), (1, 88, 88, 512), (1, 1))
    assert sizes.wide == (1, 16, 16, 4096)
    assert sizes.scores == (1, 500, 500, 21)
    assert sizes.coarse == (1, 70, 70, 21)
    assert sizes.stride == 8
    assert sizes.weight == (4096, 512, 7, 7)


def test_a_network_without_the_layers_is_refused():
    with pytest.raises(InputError, match="an upsampling layer; mini_fcn32s is not one"):
        Sizes(Work("mini_fcn32s", (64, 64), options={"width": 4, "upsampling": "nearest"}))
