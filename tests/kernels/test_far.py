"""Every kernel on arrays of more than 2^31 numbers, whose indices do not fit into an int.

The arrays are mostly not there: the system maps gigabytes of addresses and gives memory only to the pages that are
touched. The emulator runs a single block of each launch, the one that does the last piece of work, with all rounds of
its grid-stride loop. What it writes at the far end is compared with a few lines of NumPy; nothing else is computed.

UBSan reports a signed int that wraps, but not an unsigned one such as blockIdx.x * blockDim.x. That mistake shows by
numbers that are missing at the end. Both mistakes are planted below.
"""

import sys

import numpy as np
import pytest
from far_arrays import LAST, end, filled, sparse

from fcn_from_scratch import ops
from fcn_from_scratch.engine.winograd_transforms import OUTPUTS, TAPS, cook_toom
from fcn_from_scratch.kernels import emulator, launch
from fcn_from_scratch.kernels.random import LOW, RUN
from fcn_from_scratch.kernels.table import KERNELS
from fcn_from_scratch.kernels.winograd import POINTS

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is promised as Linux does it")

FAR = 1 << 31
SIDE = 1 << 14
MAP = 2, SIDE, SIDE, 5  # 2.7e9 numbers
PIXELS, CHANNELS = SIDE * SIDE, 5
ONE = 1, 1, 1, 1, 0, 0  # a window of one pixel: kernel, stride, padding

A, G, B = (np.array(matrix, float) for matrix in cook_toom(POINTS, OUTPUTS, TAPS))  # B is B^T
CASES = {}


def case(function):
    """The decorator of a test's arrays: (pieces of work, arguments, [(what was written, what is expected), ...])."""
    CASES[function.__name__] = function
    return function


def whole_pixels(array):
    """The end as rows of channels; its last LAST numbers are what the block did."""
    return end(array, (LAST // CHANNELS + 1) * CHANNELS).reshape(-1, CHANNELS)


# --- one number in, one out: a copy shows the index on both sides ---------------------------------------------------


def copies(rng, *between):
    """(work, arguments, checks) of a kernel that copies a map, given the arguments behind its two arrays."""
    x, y = filled(rng, *MAP), sparse(*MAP)
    return x.size, (x, y, *between), [(end(y), end(x))]


@case
def im2col(rng):
    return copies(rng, *MAP, 0, SIDE, SIDE, *ONE, 1, 1)


@case
def col2im(rng):
    return copies(rng, *MAP, SIDE, SIDE, *ONE, 1, 1)


@case
def avg_pool(rng):
    return copies(rng, *MAP, SIDE, SIDE, *ONE, 0)


@case
def avg_pool_backward(rng):
    return copies(rng, *MAP, SIDE, SIDE, *ONE, 1)


@case
def bilinear(rng):
    return copies(rng, 2 * SIDE, SIDE, CHANNELS, 1, 1, 0)


@case
def bilinear_backward(rng):
    return copies(rng, 2, SIDE, SIDE * CHANNELS, 1, 1, 0)


@case
def interlace(rng):
    return copies(rng, *MAP, *MAP[1:3], 1, 1, 0, 0)


@case
def max_pool(rng):
    x, y, winner = filled(rng, *MAP), sparse(*MAP), sparse(*MAP, dtype="uint8")
    end(winner)[:] = 7
    return x.size, (x, y, winner, *MAP, SIDE, SIDE, *ONE, 1, 1, 0), [(end(y), end(x)), (end(winner), np.zeros(LAST))]


@case
def max_pool_backward(rng):
    dy, winner, dx = filled(rng, *MAP), sparse(*MAP, dtype="uint8"), sparse(*MAP)
    end(winner)[::3] = 1
    expected = np.where(np.arange(LAST) % 3 == 0, 0, end(dy))
    return dy.size, (dy, winner, dx, *MAP, SIDE, SIDE, *ONE, 1, 1), [(end(dx), expected)]


def places():
    """int64 (2, PIXELS, CHANNELS): at the end each pixel's own number in its plane, elsewhere 0."""
    array = sparse(2, PIXELS, CHANNELS, dtype="int64")
    array[1, -2 * LAST :] = np.arange(PIXELS - 2 * LAST, PIXELS)[:, None]
    return array


@case
def max_pool_indices_backward(rng):
    dy, dx = filled(rng, *MAP), sparse(*MAP)
    return dy.size, (dy, places(), places(), dx, 2, PIXELS, PIXELS, CHANNELS), [(end(dx), end(dy))]


@case
def max_unpool_owner(rng):
    indices, owner = places(), sparse(*MAP, dtype="int32")
    return owner.size, (indices, owner, 2, PIXELS, PIXELS, CHANNELS), [(end(owner), end(indices))]


@case
def max_unpool(rng):
    x, owner, y = filled(rng, *MAP), sparse(*MAP, dtype="int32"), sparse(*MAP)
    end(owner, 2 * LAST)[:] = end(places(), 2 * LAST)
    return y.size, (x, owner, y, 2, PIXELS, PIXELS, CHANNELS), [(end(y), end(x))]


@case
def max_unpool_backward(rng):
    dy, dx = filled(rng, *MAP), sparse(*MAP)
    return dx.size, (dy, places(), dx, 2, PIXELS, PIXELS, CHANNELS), [(end(dx), end(dy))]


# --- pixel by pixel -------------------------------------------------------------------------------------------------


@case
def conv_transpose(rng):
    x, y, weight = filled(rng, *MAP), sparse(*MAP), rng.normal(size=(CHANNELS, CHANNELS)).astype("float32")
    expected = end(whole_pixels(x) @ weight)
    return y.size, (x, weight, None, y, *MAP, CHANNELS, SIDE, SIDE, *ONE, 1, 1, 1), [(end(y), expected)]


@case
def bias_relu(rng):
    x, bias = filled(rng, *MAP), rng.normal(size=CHANNELS).astype("float32")
    expected = end(np.maximum(whole_pixels(x) + bias, 0))
    return x.size, (x, bias, x, x.size // CHANNELS, CHANNELS), [(end(x), expected)]


@case
def relu_backward(rng):
    dy, y, dx = filled(rng, *MAP), filled(rng, *MAP), sparse(*MAP)
    return dy.size, (dy, y, dx, dy.size), [(end(dx), np.where(end(y) > 0, end(dy), 0))]


NORM = 3, 0.5, 0.75, 1.0


def as_channels(rows):
    return rows.T.reshape(1, CHANNELS, -1, 1)


@case
def lrn(rng):
    x, y = filled(rng, *MAP), sparse(*MAP)
    expected = end(ops.local_response_norm(as_channels(whole_pixels(x)), *NORM)[0, :, :, 0].T)
    return x.size, (x, y, x.size // CHANNELS, CHANNELS, *NORM), [(end(y), expected)]


@case
def lrn_backward_shared(rng):
    dy, x, q = filled(rng, *MAP), filled(rng, *MAP), sparse(*MAP)
    pixels = as_channels(whole_pixels(x).astype(float))
    energy = (ops.local_response_norm(pixels, *NORM) / pixels) ** (-1 / 0.75)
    expected = end(whole_pixels(dy) * (pixels * energy**-1.75)[0, :, :, 0].T)
    return x.size, (dy, x, q, x.size // CHANNELS, CHANNELS, *NORM), [(end(q), expected)]


@case
def lrn_backward(rng):
    dy, x, q, dx = (filled(rng, *MAP) for _ in range(4))
    upstream, pixels = (as_channels(whole_pixels(a).astype(float)) for a in (dy, x))
    energy = (ops.local_response_norm(pixels, *NORM) / pixels) ** (-1 / 0.75)
    whole_pixels(q)[:] = (upstream * pixels * energy**-1.75)[0, :, :, 0].T
    expected = end(ops.local_response_norm_backward(upstream, pixels, *NORM)[0, :, :, 0].T)
    return x.size, (dy, x, q, dx, x.size // CHANNELS, CHANNELS, *NORM), [(end(dx), expected)]


@case
def dropout_mask(rng):
    mask, generator = sparse(FAR + (1 << 24), dtype="bool"), np.random.default_rng(5)
    state = generator.bit_generator.state["state"]
    words = [half for word in (state["state"], state["inc"]) for half in (word >> 64, word & LOW)]
    generator.bit_generator.advance((mask.size - LAST) // 2)  # each move gives two numbers
    expected = generator.random(LAST, dtype=np.float32) >= 0.5
    return mask.size // RUN, (mask, mask.size, 0.5, *words, 0, 0), [(end(mask), expected)]


@case
def dropout(rng):
    x, mask, y = filled(rng, *MAP), sparse(2, CHANNELS, PIXELS, dtype="bool"), sparse(*MAP)
    mask[1, :, -LAST:] = rng.random((CHANNELS, LAST)) < 0.5
    kept = mask[1, :, -len(whole_pixels(x)) :].T
    return x.size, (x, mask, y, 2, PIXELS, CHANNELS, 0, 1.5), [(end(y), end(whole_pixels(x) * kept * 1.5))]


@case
def sgd(rng):
    weight, velocity, grad = (filled(rng, FAR + (1 << 24)) for _ in range(3))
    step = 0.9 * end(velocity).astype(float) + 0.1 * end(grad) + 0.01 * end(weight)
    checks = [(end(velocity), step), (end(weight), end(weight) - step)]
    return weight.size, (weight, velocity, grad, weight.size, 0.9, 0.1, 0.01), checks


# --- sums: the block's own part -------------------------------------------------------------------------------------

ROWS, COLUMNS = 300, 1 << 23


@case
def sum_counts(rng):
    partials, counts = sparse(ROWS, COLUMNS, dtype="int32"), sparse(COLUMNS, dtype="int64")
    partials[::23, -LAST:] = rng.integers(0, 9, (len(partials[::23]), LAST))
    return COLUMNS, (partials, counts, ROWS, COLUMNS), [(counts[-LAST:], partials[:, -LAST:].sum(0))]


@case
def sum_partials(rng):
    """A block a column: the launch has as many as there are columns."""
    partials, totals = sparse(ROWS, COLUMNS, dtype="float64"), sparse(COLUMNS, dtype="float64")
    partials[::23, -1] = rng.integers(0, 9, len(partials[::23]))
    return COLUMNS * LAST, (partials, totals, ROWS, COLUMNS), [(totals[-1:], partials[:, -1].sum(keepdims=True))]


@case
def confusion_matrix(rng):
    labels, predictions = (sparse(FAR + (1 << 24), dtype="int64") for _ in range(2))
    labels[-5:], predictions[-5:] = [1, 1, 2, 3, 255], [1, 0, 1, 0, 0]
    partials = sparse(launch.MOST_BLOCKS, 10, dtype="int32")
    rounds = labels.size // (launch.MOST_BLOCKS * LAST)
    expected = [rounds * LAST - 5, 0, 0, 1, 1, 0, 0, 1, 0, 1]
    return labels.size, (labels, predictions, partials, labels.size, 3, 255), [(partials[-1], expected)]


@case
def pixel_weights(rng):
    labels, mask = sparse(FAR + (1 << 24), dtype="int64"), sparse(FAR + (1 << 24))
    end(mask)[:], labels[-2:] = rng.integers(1, 9, LAST), [255, -1]
    partials = sparse(launch.MOST_BLOCKS, 2, dtype="float64")
    arguments = labels, None, mask, partials, labels.size, 3, 255
    return labels.size, arguments, [(partials[-1], [mask[-LAST:-2].sum(), 1])]


@case
def softmax_cross_entropy(rng):
    scores, dscores = filled(rng, *MAP), sparse(*MAP)
    end(scores, LAST * CHANNELS)[:] = rng.normal(size=LAST * CHANNELS)
    labels, partials = sparse(2 * PIXELS, dtype="int64"), sparse(launch.MOST_BLOCKS, dtype="float64")
    labels[-LAST:] = rng.integers(0, CHANNELS, LAST)
    last = end(scores, LAST * CHANNELS).reshape(LAST, CHANNELS).astype(float)
    softmax = np.exp(last) / np.exp(last).sum(1, keepdims=True)
    expected = softmax - np.eye(CHANNELS)[labels[-LAST:]]
    arguments = scores, labels, None, None, np.ones(1), dscores, partials, labels.size, CHANNELS, 255, 0
    return labels.size, arguments, [(end(dscores, expected.size), expected.ravel())]


# --- products and Winograd's transforms -----------------------------------------------------------------------------


def product(rng, m, n, k):
    """gemm where its last tile alone is computed: (work, arguments, checks)."""
    a, b, c = sparse(m, k), sparse(k, n), sparse(m, n)
    a[-64:], b[:, -64:] = rng.normal(size=a[-64:].shape), rng.normal(size=b[:, -64:].shape)
    tiles = -(-m // 64) * -(-n // 64)
    return tiles * LAST, (a, b, c, m, n, k), [(c[-64:, -64:], a[-64:].astype(float) @ b[:, -64:])]


@case
def gemm(rng):
    return product(rng, 46592, 46592, 1)


@case
def gemm_of_a_tall_matrix(rng):
    return product(rng, 1 << 27, 1, 17)


@case
def gemm_of_a_wide_matrix(rng):
    return product(rng, 1, 1 << 27, 17)


@case
def implicit_gemm(rng):
    """A 1x1 kernel, so that y is a product of matrices."""
    x, weight, y = filled(rng, *MAP), rng.normal(size=(CHANNELS, CHANNELS)).astype("float32"), sparse(*MAP)
    end(x, 128 * CHANNELS)[:] = rng.normal(size=128 * CHANNELS)
    expected = end(x, 128 * CHANNELS).reshape(128, CHANNELS).astype(float) @ weight.T
    arguments = x, weight, None, y, *MAP, CHANNELS, SIDE, SIDE, *ONE, 1, 1, 0
    return 2 * PIXELS // 128 * LAST, arguments, [(end(y, 128 * CHANNELS).reshape(128, CHANNELS), expected)]


@case
def tf32x3_gemm(rng):
    return implicit_gemm(rng)


@case
def implicit_weight_grad(rng):
    """A 1x1 kernel; the last share is the last two strips of 8 pixels of the second image."""
    x, dy, parts = filled(rng, *MAP), filled(rng, *MAP), sparse(2, CHANNELS, CHANNELS)
    share, last = 2 * PIXELS - 16, 16 * CHANNELS
    expected = end(dy, last).reshape(16, CHANNELS).T.astype(float) @ end(x, last).reshape(16, CHANNELS)
    arguments = dy, x, parts, *MAP, CHANNELS, SIDE, SIDE, *ONE, 1, 1, 2, share
    return 2 * LAST, arguments, [(parts[1], expected)]


@case
def implicit_weight_grad_of_a_wide_picture(rng):
    """So many numbers of a dweight that the third part begins at 2^31."""
    side = 1 << 15
    dy, x, parts = sparse(24, side), sparse(24, side), sparse(3, side, side)
    dy[16:, -128:], x[16:, -128:] = rng.normal(size=(2, 8, 128))
    expected = dy[16:, -128:].T.astype(float) @ x[16:, -128:]
    arguments = dy, x, parts, 1, 1, 24, side, side, 1, 24, *ONE, 1, 1, 3, 8
    return 3 * (side // 128) ** 2 * LAST, arguments, [(parts[2, -128:, -128:], expected)]


@case
def tf32x3_weight_grad(rng):
    return implicit_weight_grad(rng)


@case
def sum_parts(rng):
    parts, total = sparse(3, FAR // 2), sparse(FAR // 2)
    parts[:, -LAST:] = rng.normal(size=(3, LAST))
    return total.size, (parts, total, total.size, 3), [(total[-LAST:], parts[:, -LAST:].sum(0, dtype=float))]


TILES = 2 * (SIDE // 4) ** 2
STRIP = 0, SIDE // 4, SIDE // 4  # first tile row, tile rows, tile columns


def both_axes(matrix, tiles):
    """matrix @ tile @ matrix.T for tiles (..., rows, columns), as columns x rows: the order of the frequencies."""
    return np.swapaxes(matrix @ tiles @ matrix.T, -1, -2)


@case
def winograd_input(rng):
    x, tiles, count = sparse(*MAP), sparse(36, TILES * CHANNELS), LAST // CHANNELS
    x[1, -4:, -4 * count :] = rng.normal(size=(4, 4 * count, CHANNELS))
    padded = np.zeros((6, 4 * count + 2, CHANNELS))
    padded[:4, :-2] = x[1, -4:, -4 * count :]
    d = np.array([[padded[:, 4 * t : 4 * t + 6, c] for c in range(CHANNELS)] for t in range(count)])
    expected = both_axes(B, d).reshape(-1, 36).T
    return TILES * CHANNELS, (x, tiles, *MAP, *STRIP, 0, 0), [(tiles[:, -count * CHANNELS :], expected)]


@case
def winograd_output(rng):
    products, y, count = sparse(36, TILES, CHANNELS), sparse(*MAP), LAST // CHANNELS
    products[:, -count:] = rng.normal(size=(36, count, CHANNELS))
    m = products[:, -count:].reshape(6, 6, count, CHANNELS).transpose(2, 3, 1, 0)
    expected = (A.T @ m @ A).transpose(2, 0, 3, 1).reshape(4, 4 * count, CHANNELS)
    arguments = products, None, y, *MAP, *STRIP, 0
    return TILES * CHANNELS, arguments, [(y[1, -4:, -4 * count :], expected)]


@case
def winograd_output_pool(rng):
    work, (products, _, y, *_), [(_, expected)] = winograd_output(rng)
    pooled, winner = (
        y.reshape(-1)[: MAP[0] * PIXELS // 4 * CHANNELS],
        sparse(MAP[0], SIDE // 2, SIDE // 2, CHANNELS, dtype="uint8"),
    )
    pooled = pooled.reshape(winner.shape)
    windows = expected.reshape(2, 2, -1, 2, CHANNELS).transpose(0, 2, 4, 1, 3).reshape(2, -1, CHANNELS, 4)
    largest, count = windows.max(-1), LAST // CHANNELS
    places = np.where(largest > 0, windows.argmax(-1), windows.argmax(-1) + 4)
    checks = [(pooled[1, -2:, -2 * count :], np.maximum(largest, 0)), (winner[1, -2:, -2 * count :], places)]
    return work, (products, None, pooled, winner, *MAP, *STRIP, SIDE // 2, SIDE // 2), checks


@case
def winograd_output_adjoint(rng):
    """A block has 32 tiles of all 5 channels."""
    dy, gradients = sparse(*MAP), sparse(36, CHANNELS, TILES)
    dy[1, -4:, -4 * 32 :] = rng.normal(size=(4, 4 * 32, CHANNELS))
    tiles = dy[1, -4:, -4 * 32 :].reshape(4, 32, 4, CHANNELS).transpose(3, 1, 0, 2)
    expected = both_axes(A, tiles).reshape(CHANNELS, 32, 36).transpose(2, 0, 1)
    return TILES // 32 * LAST, (dy, gradients, *MAP, *STRIP), [(gradients[:, :, -32:], expected)]


@case
def winograd_kernel(rng):
    weight, kernel = sparse(SIDE * SIDE, 3, 3), sparse(36, SIDE * SIDE)
    weight[-LAST:] = rng.normal(size=(LAST, 3, 3))
    expected = both_axes(G, weight[-LAST:, ::-1, ::-1]).reshape(-1, 36).T
    return PIXELS, (weight, kernel, SIDE, SIDE, 1), [(kernel[:, -LAST:], expected)]


@case
def winograd_kernel_adjoint(rng):
    dkernel, dweight = sparse(36, SIDE * SIDE), sparse(SIDE * SIDE, 3, 3)
    dkernel[:, -LAST:] = rng.normal(size=(36, LAST))
    expected = G.T @ dkernel[:, -LAST:].reshape(6, 6, LAST).transpose(2, 1, 0) @ G
    return PIXELS, (dkernel, dweight, SIDE, SIDE), [(dweight[-LAST:], expected)]


# --- the tests ------------------------------------------------------------------------------------------------------


def run(name, work, arguments, monkeypatch, blocks=None):
    """Launch a kernel for all of its work, of which the block of the last piece alone is done."""
    grid = launch.grid(work) if blocks is None else blocks
    last = (work - 1) // launch.THREADS % grid
    monkeypatch.setattr(emulator, "BLOCKS", slice(last, last + 1))
    with emulator.emulated():
        launch.launch(name, work, *arguments, blocks=grid)


@pytest.mark.parametrize("name", CASES)
def test_the_far_end(built, rng, monkeypatch, name):
    kernel = name.split("_of_a_")[0]
    work, arguments, checks = CASES[name](rng)
    assert max(a.size for a in arguments if isinstance(a, np.ndarray)) > FAR
    expected = [np.array(value, float) for _, value in checks]
    run(kernel, work, arguments, monkeypatch, COLUMNS if name == "sum_partials" else None)
    for (written, _), value in zip(checks, expected):
        assert value.any() or written.dtype == np.uint8
        np.testing.assert_allclose(written, value, rtol=0, atol=2e-5 * max(1, np.abs(value).max()))


def test_no_kernel_is_left_out():
    assert {name.split("_of_a_")[0] for name in CASES} == KERNELS.keys()


def thread_a_number(rng, monkeypatch, name):
    """A kernel over more than 2^32 numbers with as many threads, so that blockIdx.x * blockDim.x passes 2^32.

    sgd takes its numbers in common.cuh's loop; bias_relu has a loop of its own, which counts places in the map.
    """
    x = filled(rng, (1 << 32) + (1 << 24))
    if name == "bias_relu":
        expected = np.maximum(end(x) + np.float32(0.5), 0)
        arguments = x, np.full(1, 0.5, np.float32), x, x.size, 1
    else:
        velocity, grad = filled(rng, x.size), filled(rng, x.size)
        expected = end(x) - np.float32(0.5) * end(grad)
        arguments = x, velocity, grad, x.size, 0.0, 0.5, 0.0
    run(name, x.size, arguments, monkeypatch, x.size // launch.THREADS)
    return np.array_equal(end(x), expected)


@pytest.mark.parametrize("name", ["bias_relu", "sgd"])
def test_more_than_2_32_threads(built, rng, monkeypatch, name):
    assert thread_a_number(rng, monkeypatch, name)


@pytest.fixture
def plant(monkeypatch):
    """Replace a piece of common.cuh in every kernel compiled from now on."""

    def plant(right, wrong):
        correct = launch.text

        def text(source):
            assert right in correct(source)
            return correct(source).replace(right, wrong)

        monkeypatch.setattr(launch, "text", text)
        launch.compiled.cache_clear()

    yield plant
    launch.compiled.cache_clear()


@pytest.mark.parametrize("name", ["bias_relu", "sgd", "interlace", "winograd_output"])
def test_an_index_that_is_an_int_is_noticed(built, rng, monkeypatch, plant, name):
    plant("typedef long long idx_t;", "typedef int idx_t;")
    work, arguments, _ = CASES[name](rng)
    with pytest.raises(RuntimeError, match="overflows"):
        run(name, work, arguments, monkeypatch)


@pytest.mark.parametrize("name", ["bias_relu", "sgd"])
def test_an_unsigned_product_that_wraps_is_noticed(built, rng, monkeypatch, plant, name):
    plant("(idx_t)blockIdx.x * blockDim.x", "blockIdx.x * blockDim.x")
    assert not thread_a_number(rng, monkeypatch, name)
