"""The number of threads changes no bit of a result, for every algorithm and for networks of every size."""

from functools import partial

import numpy as np
import pytest

from fcn_from_scratch import layers, models
from fcn_from_scratch.engine import conv, threads
from fcn_from_scratch.ops.shapes import Geometry
from fcn_from_scratch.training import SGD, Trainer

COUNTS = (1, 2, 3, 8)


@pytest.fixture
def with_threads(monkeypatch):
    """Call function() with each number of threads, our own and BLAS's: the list of results."""

    def results(function):
        found = []
        get, put = threads._blas() or (lambda: 1, lambda number: None)
        before = get()
        for count in COUNTS:
            monkeypatch.setattr(threads, "most", lambda count=count: count)
            threads._team.cache_clear()
            put(count)
            try:
                found.append(function())
            finally:
                put(before)
                if count > 1:
                    threads._team().close()
                threads._team.cache_clear()
        return found

    return results


CASES = {
    "im2col": ((2, 24, 61, 43), (40, 24, 3, 3), {}),
    "im2col with stride": ((1, 3, 111, 97), (20, 3, 7, 7), {"stride": (3, 2)}),
    "im2col with groups": ((3, 24, 40, 40), (32, 12, 3, 3), {"groups": 2, "dilation": (2, 1)}),
    "winograd": ((1, 65, 75, 83), (70, 65, 3, 3), {"padding": (1, 1)}),
    "wide": ((1, 128, 9, 8), (271, 128, 6, 6), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_convolution(case, rng, with_threads):
    x_shape, weight_shape, placing = CASES[case]
    algorithm = case.partition(" ")[0]
    geometry = geometry_of(x_shape, weight_shape, **placing)
    x, weight = (rng.standard_normal(shape).astype(np.float32) for shape in (x_shape, weight_shape))
    bias = rng.standard_normal(len(weight)).astype(np.float32)
    dy = rng.standard_normal((len(x), len(weight), *geometry.output_size)).astype(np.float32)

    def everything():
        y = conv.conv2d(x, weight, bias, geometry, algorithm)
        transform = conv.transformation(weight, geometry.stride, geometry.dilation, geometry.groups)
        kernel = None if transform is None else partial(transform, weight)
        prepared = conv.conv2d(x, weight, bias, geometry, algorithm, transformed=kernel)
        return [y, prepared, *conv.conv2d_backward(dy, x, weight, geometry, algorithm=algorithm)]

    first, *others = with_threads(everything)
    for other in others:
        np.testing.assert_equal(other, first)


def geometry_of(x_shape, weight_shape, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    kernel = weight_shape[2:]
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    size = tuple((n + 2 * p - r) // s + 1 for n, p, r, s in zip(x_shape[2:], padding, reach, stride))
    return Geometry(kernel, stride, padding, dilation, groups, size)


# Layers whose work is divided among threads, ours or BLAS's, and which the networks below lack or have only in part.
LAYERS = {
    "transposed convolution": (lambda: layers.ConvTranspose2d(32, 24, 4, 2, 1), (2, 32, 45, 53)),
    "transposed convolution in groups": (lambda: layers.ConvTranspose2d(32, 32, 4, 2, 1, groups=8), (2, 32, 45, 53)),
    "bilinear": (lambda: layers.BilinearUpsample(16, 8), (2, 21, 30, 33)),
    "linear": (lambda: layers.Linear(2048, 515), (33, 2048)),
    "overlapping max-pool": (lambda: layers.MaxPool2d(3, 2, ceil_mode=True), (2, 48, 75, 83)),
    "average pool": (lambda: layers.AvgPool2d(3, 2, 1), (2, 48, 75, 83)),
    "local response norm": (lambda: layers.LocalResponseNorm(5, alpha=0.1), (2, 48, 75, 83)),
    "depthwise": (lambda: layers.Conv2d(64, 64, 3, padding=1, groups=64), (2, 64, 45, 53)),
    "winograd, ReLU and pool": (lambda: fused_run(64, 72), (2, 64, 46, 54)),
    "im2col, ReLU and pool": (lambda: fused_run(16, 24), (2, 16, 76, 84)),
}


def fused_run(before, after):
    return layers.Sequential(layers.Conv2d(before, after, 3, padding=1), layers.ReLU(), layers.MaxPool2d(2))


@pytest.mark.parametrize("case", LAYERS)
def test_a_layer(case, rng, with_threads):
    make, shape = LAYERS[case]
    layer, x = make(), rng.standard_normal(shape).astype(np.float32)
    for array in layer.params.values():
        array[...] = rng.standard_normal(array.shape)
    dy = rng.standard_normal(layer(x).shape).astype(np.float32)

    def everything():
        layer.zero_grad()
        y = layer.train()(x).copy()
        dx = layer.backward(dy)
        return [y, dx, layer.eval()(x), *(grad.copy() for grad in layer.grads.values())]

    first, *others = with_threads(everything)
    for other in others:
        np.testing.assert_equal(other, first)


NETWORKS = {
    "small, in one part": ("mini_fcn8s", {}, (1, 40, 56)),
    "small, in parts": ("mini_fcn8s", {}, (6, 80, 80)),
    "large, VGG's layers": ("fcn8s", {"width": 12}, (1, 47, 61)),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_training_a_network(case, rng, with_threads):
    name, options, (n, h, w) = NETWORKS[case]
    batch = rng.standard_normal((n, 3, h, w)).astype(np.float32), rng.integers(0, 5, (n, h, w))

    def ends():
        net = models.build(name, 5, **options)
        trainer = Trainer(net, SGD(net, lr=1e-3), iter([batch] * 3))
        trainer.run(3, progress=False)
        framed = models.ZeroFrame(net.eval())
        return dict(net.params), list(trainer.losses), net(batch[0]), framed(batch[0])

    (params, losses, *scores), *others = with_threads(ends)
    assert len(set(losses)) == 3
    for other in others:
        np.testing.assert_equal(other, (params, losses, *scores))


def test_the_large_network_is_larger_than_any_that_is_cut_into_parts():
    net = models.build("fcn8s", 5, width=12)
    assert sum(array.size for array in net.params.values()) > 1 << 20


def test_one_thread_cuts_the_items_of_its_items_as_several_do(monkeypatch):
    found = {}
    for count in COUNTS:
        monkeypatch.setattr(threads, "most", lambda count=count: count)
        threads._team.cache_clear()
        cuts = found[count] = [threads.shares()]
        threads.run(lambda item, cuts=cuts: cuts.append(threads.shares()), range(3))
        threads.run(lambda item, cuts=cuts: cuts.append(threads.shares()), range(1))
        cuts.append(threads.shares())
    threads._team.cache_clear()
    assert all(cuts == [2, 1, 1, 1, 2, 2] for cuts in found.values()), found
