"""The unpooling decoder, the trunk's mirror image, against the same network written with loops and with PyTorch."""

import math

import numpy as np
import pytest
from arrays import close, refuses, torch_module
from hypothesis import given, settings
from hypothesis import strategies as st

from fcn_from_scratch import geometry, ops
from fcn_from_scratch.gradcheck import layer_check
from fcn_from_scratch.layers import AvgPool2d, Conv2d, Dropout, LocalResponseNorm, MaxPool2d, MaxUnpool2d, ReLU
from fcn_from_scratch.models import build, transplant
from fcn_from_scratch.models.decoder import UnpoolingDecoder
from fcn_from_scratch.models.trunk import Trunk
from fcn_from_scratch.ops import loops
from fcn_from_scratch.training import SGD

# options of the trunk, and the image: odd sizes, windows that reach over the edge, frames, an even fc6
CASES = [
    ({}, (21, 38)),
    ({"fc6_kernel": 2, "convs": (1, 2, 1, 1, 2)}, (33, 20)),
    ({"pad": 9, "fc6_kernel": 4, "dropout": 0.4}, (16, 23)),
    ({"pad": 70, "fc6_kernel": 5, "fc6_padding": 0}, (7, 12)),
]
# what the trunk's layers undo, in the order of the way up; fc7 is 1x1
MIRROR = "deconv_fc6 unpool5 deconv5_1 unpool4 deconv4_1 unpool3 deconv3_1 unpool2 deconv2_1 unpool1 deconv1_1 score"


def generic(rng, num_classes=4, width=3, **options):
    """A float64 network none of whose parameters is zero."""
    net = build("mini_unpool", num_classes, width=width, dtype=np.float64, seed=1, **options)
    for key, array in net.params.items():
        if key.startswith("score"):
            array[...] = rng.normal(size=array.shape)
        elif key.endswith("bias"):
            array[...] = rng.uniform(0.1, 0.5, size=array.shape)
    return net


def written_out(p, x, pad=1, fc6_padding=1, conv=None, up=None, pool=None, unpool=None):
    """mini_unpool from its parameters p: five stages, the last one first on the way back."""
    relu, held = lambda h: h * (h > 0), []
    h = x
    for stage in range(1, 6):
        h = relu(conv(h, p[f"conv{stage}_1.weight"], p[f"conv{stage}_1.bias"], pad if stage == 1 else 1))
        size = h.shape[2:]
        h, indices = pool(h)
        held.append((indices, size))
    h = relu(conv(h, p["fc6.weight"], p["fc6.bias"], fc6_padding))
    h = relu(conv(h, p["fc7.weight"], p["fc7.bias"], 0))
    h = up(h, p["deconv_fc6.weight"], p["deconv_fc6.bias"], fc6_padding)
    for stage in range(5, 0, -1):
        h = unpool(h, *held[stage - 1])
        h = up(h, p[f"deconv{stage}_1.weight"], p[f"deconv{stage}_1.bias"], pad if stage == 1 else 1)
    return conv(h, p["score.weight"], p["score.bias"], 0)


class TestForward:
    @pytest.mark.parametrize("options", [{}, {"pad": 9, "fc6_kernel": 4, "fc6_padding": 2}])
    def test_equals_the_network_written_out(self, options, rng):
        net = generic(rng, width=2, **options)
        x = rng.normal(size=(2, 3, 13, 22))
        frame = {"pad": options.get("pad", 1), "fc6_padding": options.get("fc6_padding", 1)}
        expected = written_out(
            net.params,
            x,
            **frame,
            conv=lambda h, w, b, p: loops.conv2d_loops(h, w, b, padding=p),
            up=lambda h, w, b, p: loops.conv_transpose2d_loops(h, w, b, padding=p),
            pool=lambda h: loops.max_pool2d_loops(h, 2, ceil_mode=True),
            unpool=loops.max_unpool2d_loops,
        )
        close(net(x), expected)
        close(net.eval()(x), expected)

    def test_every_unpooling_fills_the_places_of_its_own_maxima(self, rng):
        net = generic(rng)
        net(rng.normal(size=(2, 3, 45, 38)))
        for layer in net.decoder.layers:
            if isinstance(layer, MaxUnpool2d):
                pool = net.trunk.children[layer.name.removeprefix("un")]
                filled = layer(np.ones(pool.indices.shape))
                assert filled.shape[2:] == pool.input_size
                rows = filled.reshape(*filled.shape[:2], -1)
                at_maxima = np.take_along_axis(rows, pool.indices.reshape(*filled.shape[:2], -1), axis=2)
                assert at_maxima.min() == 1
                assert filled.sum() == pool.indices.size

    def test_which_pixel_of_a_window_was_largest_decides(self, rng):
        """Exchange the two rows of each of the pool's windows: the pool makes the same map, the scores follow."""

        def exchanged(h):
            return h.reshape(2, -1, 6, 2, 10)[:, :, :, ::-1].reshape(h.shape)

        pixels = Conv2d(3, 5, 1, rng=rng, dtype=np.float64, name="conv1_1")
        pixels.params["bias"][...] = 20  # above zero everywhere: a window of zeros would be a tie
        mix = Conv2d(5, 6, 1, rng=rng, dtype=np.float64, name="conv2_1")
        net = UnpoolingDecoder(Trunk(pixels, ReLU(), MaxPool2d(2, name="pool1"), mix), 4, rng=rng, dtype=np.float64)
        assert list(net.decoder.children) == ["deconv2_1", "unpool1", "deconv1_1", "score"]
        for array in net.decoder.params.values():
            array[...] = rng.normal(size=array.shape)
        x = rng.normal(size=(2, 3, 12, 10))
        y, top = net(x), net.trunk(x)[0]
        np.testing.assert_array_equal(net.trunk(exchanged(x))[0], top)
        np.testing.assert_array_equal(net(exchanged(x)), exchanged(y))
        assert np.abs(exchanged(y) - y).max() > 1e-3

    @given(
        size=st.tuples(*[st.integers(1, 70)] * 2),
        fc6_kernel=st.integers(1, 4),
        pad=st.integers(1, 6),
        convs=st.lists(st.integers(1, 2), min_size=5, max_size=5),
    )
    @settings(max_examples=20)
    def test_scores_have_the_size_of_any_image(self, size, fc6_kernel, pad, convs):
        net = build("mini_unpool", 2, width=1, fc6_kernel=fc6_kernel, pad=pad, convs=convs).eval()
        assert net(np.zeros((1, 3, *size), np.float32)).shape == (1, 2, *size)

    def test_the_papers_trunk(self, rng):
        net = build("unpool_vgg16", 2, width=1).eval()
        assert net(np.zeros((1, 3, 5, 33), np.float32)).shape == (1, 2, 5, 33)
        assert [key for key in net.decoder.children if "5" in key] == ["unpool5", "deconv5_3", "deconv5_2", "deconv5_1"]
        assert net.children["deconv1_1"].padding == (100, 100)


class TestBackward:
    @pytest.mark.parametrize(("options", "size"), CASES)
    def test_gradients(self, options, size, rng):
        net = generic(rng, **options)
        x = rng.normal(size=(2, 3, *size))
        errors = layer_check(net, x, rng, directions=2, eps=1e-6)
        assert errors.keys() == {"dx", *net.params}
        assert max(errors.values()) < 1e-7
        net.zero_grad()
        net(x)
        net.backward(rng.normal(size=(2, 4, *size)))
        assert min(np.abs(gradient).max() for gradient in net.grads.values()) > 1e-8

    def test_backward_params_fills_the_same_grads(self, rng):
        net = generic(rng)
        dscores = rng.normal(size=net(rng.normal(size=(2, 3, 21, 38))).shape)
        net.backward(dscores)
        both = {key: gradient.copy() for key, gradient in net.grads.items()}
        net.zero_grad()
        net.backward_params(dscores)
        for key, gradient in net.grads.items():
            np.testing.assert_allclose(gradient, both[key], rtol=1e-12, atol=1e-12 * np.abs(gradient).max())

    def test_the_trunk_may_run_on_another_image_in_between(self, rng):
        """As when features are looked at: the unpooling keeps the indices it used."""
        net = generic(rng)
        x = rng.normal(size=(1, 3, 20, 20))
        dscores = rng.normal(size=net(x).shape)
        dtop = net.decoder.backward(dscores)
        net.trunk(x[:, :, ::-1])
        np.testing.assert_array_equal(net.decoder.backward(dscores), dtop)

    @pytest.mark.torch
    @pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-4)])
    @pytest.mark.parametrize("options", [{}, {"pad": 9, "fc6_kernel": 4, "fc6_padding": 2}])
    def test_scores_and_gradients_are_pytorchs(self, options, dtype, tolerance, rng):
        torch = torch_module()
        f = torch.nn.functional
        net = generic(rng, **options).astype(dtype)
        x, dscores = (rng.normal(size=(2, channels, 45, 70)).astype(dtype) for channels in (3, 4))
        p = {key: torch.tensor(array, requires_grad=True) for key, array in net.state_dict().items()}
        image = torch.tensor(x, requires_grad=True)
        frame = {"pad": options.get("pad", 1), "fc6_padding": options.get("fc6_padding", 1)}
        expected = written_out(
            p,
            image,
            **frame,
            conv=lambda h, w, b, p: f.conv2d(h, w, b, padding=p),
            up=lambda h, w, b, p: f.conv_transpose2d(h, w, b, padding=p),
            pool=lambda h: f.max_pool2d(h, 2, ceil_mode=True, return_indices=True),
            unpool=lambda h, indices, size: f.max_unpool2d(h, indices, 2, output_size=size),
        )
        expected.backward(torch.tensor(dscores))
        close(net(x), expected.detach().numpy(), tolerance)
        largest = np.abs(image.grad.numpy()).max()
        close(net.backward(dscores) / largest, image.grad.numpy() / largest, tolerance)
        for key, gradient in net.grads.items():
            largest = np.abs(p[key].grad.numpy()).max()
            assert largest > 0
            close(gradient / largest, p[key].grad.numpy() / largest, tolerance)


class TestTraining:
    def test_the_first_loss_is_log_k_and_falls(self, rng):
        """Left halves of one class, right halves of another, told apart by their colour."""
        net = build("mini_unpool", 3, width=4, seed=2)
        labels = np.repeat([[0] * 20 + [2] * 20], 32, axis=0)[None].repeat(2, axis=0)
        x = (labels[:, None] - 1 + 0.3 * rng.normal(size=(2, 3, 32, 40))).astype(np.float32)
        optimizer, losses = SGD(net, 0.02), []
        for _ in range(25):
            net.zero_grad()
            loss, dscores = ops.softmax_cross_entropy(net(x), labels)
            losses.append(float(loss))
            net.backward_params(dscores)
            optimizer.step()
        assert losses[0] == pytest.approx(math.log(3), abs=1e-6)
        assert losses[-1] < 0.5 * losses[0]

    def test_the_size_of_activations_is_kept_on_the_way_up(self, rng):
        """Within a factor of three through five stages; untouched He weights would lose 4**5 in variance."""
        net = build("mini_unpool", 3, dtype=np.float64, seed=3)
        x = rng.normal(size=(2, 3, 64, 64))
        h, sizes = net.trunk(x)[0], []
        for layer in net.decoder.layers[:-1]:
            h = layer(h)
            if not isinstance(layer, MaxUnpool2d):
                sizes.append(math.sqrt((h**2).mean()))
        assert len(sizes) == 6
        assert max(sizes) < 3 * min(sizes)

    def test_a_frozen_trunk_stays_and_hands_out_its_indices(self, rng):
        net = generic(rng).freeze_trunk()
        free = generic(np.random.default_rng(0))
        x = rng.normal(size=(2, 3, 21, 38))
        close(net(x), free(x))
        dscores = rng.normal(size=(2, 4, 21, 38))
        assert net.backward(dscores) is None
        free.backward(dscores)
        assert net.frozen_params() == set(net.trunk.params)
        for key, gradient in net.grads.items():
            if key in net.trunk.params:
                assert not gradient.any()
            else:
                close(gradient, free.grads[key])

    def test_takes_the_classifiers_trunk(self, rng):
        classifier, net = build("mini_classifier", 5, seed=1, width=2), build("mini_unpool", 5, seed=2, width=2)
        for array in classifier.params.values():
            array[...] = rng.normal(size=array.shape)
        report = transplant(net, classifier)
        assert {key.split(".")[0] for key in report.initialised} == {*MIRROR.split()} - {
            key for key in net.children if key.startswith("unpool")
        }
        assert report.dropped == ["fc8.weight", "fc8.bias"]
        for key in net.trunk.params:
            np.testing.assert_array_equal(net.params[key].ravel(), classifier.params[key].ravel())


class TestGeometry:
    def test_layers_mirror_the_trunk(self):
        net = build("mini_unpool", 2, width=1)
        assert list(net.children) == [*net.trunk.children, *MIRROR.split()]
        assert [layer.label for layer in net.coarse_path] == [layer.label for layer in net.trunk.layers]
        assert tuple(geometry.receptive_field(net)) == (32 + 62 + 64, 32, 15.5)  # as any network on this trunk

    @pytest.mark.parametrize(("options", "size"), CASES)
    def test_sizes_and_places_are_those_of_the_mirrored_map(self, options, size):
        net = build("mini_unpool", 2, width=1, **options).eval()
        maps, fields = geometry.map_sizes(net, size), geometry.grids(geometry.graph(net))
        read = {node.layer: node.sources[0] for node in geometry.graph(net)}
        h = np.zeros((1, 3, *size), np.float32)
        for key, layer in net.children.items():
            h = layer(h)
            assert maps[key] == (h.shape[1], h.shape[2:])
            mirrored = key.removeprefix("un").removeprefix("de").removeprefix("conv_")
            if mirrored != key:
                source = read[net.trunk.children[mirrored]]
                assert maps[key].size == maps[source].size
                assert [(a.stride, a.start) for a in fields[key].axes] == [
                    (a.stride, a.start) for a in fields[source].axes
                ]
        assert maps["score"].size == size

    def test_every_size_fits_however_pools_round(self):
        net = build("mini_unpool", 2, width=1)
        sizes = range(1, 130)
        assert geometry.sizes_that_fit(net, sizes) == list(sizes)
        assert geometry.sizes_that_fit(net, sizes, ceil_mode=False) == list(sizes)[31:]  # below, a pool makes nothing

    def test_the_table_counts_the_parameters(self):
        net = build("mini_unpool", 2, width=2)
        table = geometry.table(net, 40)
        assert table.parameters == sum(array.size for array in net.params.values())
        assert table.row("unpool5").kind == "max-unpool"
        assert table.row("unpool1").bytes == 4 * 2 * 40 * 40
        assert table.row("deconv1_1").multiply_adds == 40 * 40 * 9 * 2 * 2

    def test_an_unpooling_of_another_map_does_not_fit(self):
        net = build("mini_unpool", 2, width=1)
        net.children["deconv_fc6"].padding = (2, 2)  # a cell less on each side
        with refuses(
            "MaxUnpool2d 'unpool5' undoes MaxPool2d 'pool5', whose output has 3x4 cells; the input here has 1x2"
        ):
            geometry.map_sizes(net, (96, 128))


class TestOptions:
    def test_reach_the_trunk_and_its_mirror(self):
        net = build("mini_unpool", 6, width=3, pad=5, fc6_kernel=5, fc6_padding=1, dropout=0.2, convs=(1, 2, 1, 1, 1))
        shapes = {key: array.shape for key, array in net.params.items()}
        assert shapes["fc6.weight"] == (24, 24, 5, 5)
        assert shapes["deconv_fc6.weight"] == (24, 24, 5, 5)
        assert shapes["deconv2_2.weight"] == (6, 6, 3, 3)
        assert shapes["deconv2_1.weight"] == (6, 3, 3, 3)
        assert shapes["deconv1_1.weight"] == (3, 3, 3, 3)
        assert shapes["score.weight"] == (6, 3, 1, 1)
        assert net.children["drop6"].p == 0.2
        assert net.children["deconv1_1"].padding == (5, 5)

    def test_there_is_no_upsampling_to_choose(self):
        with refuses("mini_unpool has no option 'upsampling'; its options are width, pad, fc6_kernel"):
            build("mini_unpool", upsampling="learned")

    @pytest.mark.parametrize(
        "layer",
        [
            Conv2d(3, 4, 3, stride=2, name="odd"),
            Conv2d(3, 4, 3, dilation=2, name="odd"),
            MaxPool2d(3, 2, name="odd"),
            AvgPool2d(2, name="odd"),
            LocalResponseNorm(5, 1e-4, name="odd"),
        ],
    )
    def test_other_trunks_are_refused(self, layer):
        trunk = Trunk(layer, ReLU(), Dropout(0.5), Conv2d(4, 4, 1, name="last"))
        with refuses(f"{layer.label} has no counterpart in a decoder"):
            UnpoolingDecoder(trunk, 2)
