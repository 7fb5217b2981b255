"""The network that stacks features, as U-Net does: alignment, gradients, and what it has of FCN-8s."""

import numpy as np
import pytest
from arrays import close, refuses, shapes_of, torch_module
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import engine, geometry, plain
from fcn_from_scratch.gradcheck import layer_check
from fcn_from_scratch.models import build, transplant
from fcn_from_scratch.ops import softmax_cross_entropy

HEAD = (
    "up_pool4 crop_pool4 concat_pool4 merge_pool4 relu_pool4 "
    "up_pool3 crop_pool3 concat_pool3 merge_pool3 relu_pool3 score upscore8 crop"
)
FRAME = {"pad": 70, "fc6_kernel": 5, "fc6_padding": 0}  # here the skips are cropped; without it the features are


def generic(rng, name="mini_fcn8s_concat", num_classes=3, **options):
    """A float64 network none of whose parameters is zero."""
    net = build(name, num_classes, dtype=np.float64, **{"width": 3, "seed": 1, **options})
    for key, array in net.params.items():
        if key.startswith("score"):
            array[...] = rng.normal(size=array.shape)
        elif key.endswith("bias"):
            array[...] = rng.uniform(0.1, 0.5, size=array.shape)
    return net


class TestLayers:
    @pytest.mark.parametrize("name", ["mini_fcn8s_concat", "fcn8s_concat"])
    def test_names(self, name):
        net = build(name, 2, width=1)
        assert list(net.children) == [*net.trunk.children, *HEAD.split()]

    def test_shapes(self, weightless):
        """Each step has as many output channels as the pool that it reads: 512 and 256 in VGG16."""
        shapes = {key: s for key, s in shapes_of(build("fcn8s_concat")).items() if key.startswith(("merge", "score"))}
        assert shapes == {
            "merge_pool4.weight": (512, 4096 + 512, 3, 3),
            "merge_pool4.bias": (512,),
            "merge_pool3.weight": (256, 512 + 256, 3, 3),
            "merge_pool3.bias": (256,),
            "score.weight": (21, 256, 1, 1),
            "score.bias": (21,),
        }

    def test_takes_the_trunk_of_fcn8s(self):
        old, new = build("mini_fcn8s", 4, width=2, seed=1), build("mini_fcn8s_concat", 4, width=2, seed=2)
        report = transplant(new, old)
        assert report.copied == list(old.trunk.params)
        assert {key.split(".")[0] for key in report.initialised} == {"merge_pool4", "merge_pool3", "score"}
        assert all(key.startswith("score") for key in report.dropped)

    @pytest.mark.parametrize(
        ("upsampling", "kernels"),
        [
            ("fixed", {}),
            ("nearest", {}),
            ("learned", {"up_pool4.weight": (16, 16, 4, 4), "up_pool3.weight": (12, 12, 4, 4)}),
            (
                "all_learned",
                {
                    "up_pool4.weight": (16, 16, 4, 4),
                    "up_pool3.weight": (12, 12, 4, 4),
                    "upscore8.weight": (3, 3, 16, 16),
                },
            ),
        ],
    )
    def test_upsampling(self, upsampling, kernels, rng):
        """Learned kernels start bilinear: at first the network is the fixed one."""
        net = generic(rng, width=2, upsampling=upsampling)
        found = {key: shape for key, shape in shapes_of(net).items() if key.startswith(("up_", "upscore"))}
        assert found == kernels
        fixed = build("mini_fcn8s_concat", 3, width=2, dtype=np.float64)
        fixed.load_state_dict({key: array for key, array in net.params.items() if key in fixed.params})
        x = rng.normal(size=(1, 3, 40, 33))
        same = np.abs(net(x) - fixed(x)).max() < 1e-9 * np.abs(fixed(x)).max()
        assert same == (upsampling != "nearest")

    def test_another_option(self):
        with refuses("upsampling must be one of 'fixed', 'learned'", "got 'bilinear'"):
            build("mini_fcn8s_concat", upsampling="bilinear")


class TestGeometry:
    @pytest.mark.parametrize(
        ("name", "options", "offsets"),
        [
            ("mini_fcn8s_concat", {}, [("crop_pool4", 1), ("crop_pool3", 1), ("crop", 4)]),
            ("mini_fcn8s_concat", FRAME, [("crop_pool4", 3), ("crop_pool3", 5), ("crop", 33)]),
            ("fcn8s_concat", {}, [("crop_pool4", 5), ("crop_pool3", 9), ("crop", 31)]),
            ("fcn8s_concat", {"pad": 81}, [("crop_pool4", 5), ("crop_pool3", 9), ("crop", 12)]),
            (
                "mini_fcn8s_concat",
                {"fc6_kernel": 2, "fc6_padding": 0},
                [("crop_pool4", 0), ("crop_pool3", 1), ("crop", 4)],
            ),
        ],
    )
    def test_offsets_are_those_of_fcn8s(self, name, options, offsets):
        """The maps are the same, so they lie in the same places. A negative offset of FCN-8s crops the other map."""
        explained = geometry.explain_crops(build(name, 2, width=1, **options))
        assert [(node, offset) for node, offset, _ in explained] == offsets
        net = build(name, 2, width=1, **options)
        assert [(node, net.children[node].offset) for node, _ in offsets] == [(node, (o, o)) for node, o in offsets]
        theirs = geometry.explain_crops(build(name.replace("_concat", ""), 2, width=1, **options))
        if options != {"fc6_kernel": 2, "fc6_padding": 0}:
            assert [abs(offset) for _, offset, _ in theirs] == [offset for _, offset in offsets]

    def test_in_words(self):
        (_, _, text), *_ = geometry.explain_crops(build("fcn8s_concat", 2, width=1))
        assert "drop7 starts at 12.5; each of its cells is spread by up_pool4 over 4 cells of 16 pixels" in text
        assert (
            "pool4 starts at -91.5, up_pool4 at -11.5; the stride of both is 16\n((-11.5) - (-91.5)) / 16 = 5" in text
        )

    @pytest.mark.parametrize("options", [{}, FRAME])
    def test_what_is_stacked_lies_in_the_same_places(self, options):
        net = build("mini_fcn8s_concat", 2, width=1, **options)
        grids = geometry.grids(geometry.graph(net))  # would refuse maps in different places
        assert (grids["concat_pool4"].stride, grids["concat_pool3"].stride) == (16, 8)
        for merge in net.merges:
            assert merge.field == grids[merge.conv.name]

    @pytest.mark.parametrize("options", [{}, FRAME])
    def test_sizes_are_those_of_the_maps(self, options):
        net = build("mini_fcn8s_concat", 2, width=2, **options).eval()
        for size in [(21, 38), (64, 65), (1, 3)]:
            maps, seen = geometry.map_sizes(net, size), {}
            for key, layer in net.children.items():
                layer.forward = _watched(layer.forward, seen, key)
            net(np.zeros((1, 3, *size), np.float32))
            for layer in net.children.values():
                del layer.forward
            watched = [key for key in HEAD.split() if key in seen]
            assert {"crop_pool4", "concat_pool4", "crop_pool3", "concat_pool3", "score", "crop"} <= {*watched}
            for key in watched:
                assert maps[key].shape == seen[key], key

    @given(st.integers(1, 70), st.integers(1, 70))
    def test_scores_have_the_size_of_the_image(self, height, width):
        net = build("mini_fcn8s_concat", 2, width=1).eval()
        assert net(np.zeros((1, 3, height, width), np.float32)).shape == (1, 2, height, width)

    @pytest.mark.parametrize("name", ["mini_fcn8s_concat", "fcn8s_concat"])
    def test_every_size_fits(self, name):
        assert len(geometry.sizes_that_fit(build(name, 2, width=1))) == geometry.sizes.LARGEST

    def test_the_table(self):
        net = build("mini_fcn8s_concat", 2, width=2)
        table = geometry.table(net, 64)
        assert table.parameters == sum(array.size for array in net.params.values())
        # 8x8 cells of pool3, 3x3 taps, 12 channels of the step before and 8 of pool3, 8 outputs
        assert table.row("merge_pool3").multiply_adds == 8 * 8 * 9 * (12 + 8) * 8
        assert table.row("concat_pool4").channels == 16 + 12
        assert table.row("crop_pool4").bytes == 0


def _watched(forward, seen, key):
    def run(*args, **kwargs):
        y = forward(*args, **kwargs)
        seen[key] = y.shape[1:]
        return y

    return run


class TestBackward:
    @pytest.mark.parametrize(
        "options", [{}, FRAME, {"upsampling": "all_learned"}, {"fc6_kernel": 2, "fc6_padding": 0, "pad": 33}]
    )
    def test_finite_differences(self, options, rng):
        net = generic(rng, **options)
        errors = layer_check(net, rng.normal(size=(2, 3, 21, 38)), rng, directions=2, eps=1e-6)
        assert errors.keys() == {"dx", *net.params}
        assert max(errors.values()) < 1e-7
        assert min(np.abs(gradient).max() for gradient in net.grads.values()) > 1e-8

    @pytest.mark.parametrize(("pool", "columns"), [("pool4", 24), ("pool3", 18)])
    def test_a_pool_gets_the_sum_of_two_gradients(self, pool, columns, rng):
        """It feeds the next stage and the concatenation. Without the weights that read one, the other's remains."""
        net = generic(rng)
        x, dscores = rng.normal(size=(2, 3, 40, 70)), rng.normal(size=(2, 3, 40, 70))
        received, layer = [], net.trunk.children[pool]
        backward = layer.backward
        layer.backward = lambda dy: backward(received.append(dy.copy()) or dy)
        merge = net.params[f"merge_{pool}.weight"]
        assert merge.shape[1] > columns
        features, skip = np.s_[:, :columns], np.s_[:, columns:]
        y = net(x)  # the forward stays as it is: only the weights of backward lose columns
        net.backward(dscores)
        for gone in (features, skip):
            kept = merge.copy()
            net(x)
            merge[gone] = 0
            net.backward(dscores)
            merge[...] = kept
        both, without_features, without_skip = received
        if pool == "pool4":  # all that reaches the next stage goes through the features
            assert min(np.abs(part).max() for part in (without_features, without_skip)) > 1e-3 * np.abs(both).max()
            close(both, without_features + without_skip)
        else:
            assert np.abs(without_features).max() > 1e-3 * np.abs(both).max()
            close(both, without_features + without_skip)
        assert y.shape == dscores.shape

    def test_backward_params_and_sums(self, rng):
        net = generic(rng)
        x, dscores = rng.normal(size=(2, 3, 33, 40)), rng.normal(size=(2, 3, 33, 40))
        net(x)
        net.backward(dscores)
        once = {key: gradient.copy() for key, gradient in net.grads.items()}
        net(x)
        assert net.backward_params(dscores) is None
        for key, gradient in net.grads.items():
            close(gradient, 2 * once[key])

    def test_a_frozen_trunk(self, rng):
        net = generic(rng, dropout=0.5).freeze_trunk()
        x = rng.normal(size=(1, 3, 33, 40))
        np.testing.assert_array_equal(net(x), net(x))
        assert net.backward(rng.normal(size=(1, 3, 33, 40))) is None
        assert {key for key, g in net.grads.items() if g.any()} == set(net.params) - set(net.trunk.params)
        assert net.frozen_params() == set(net.trunk.params)

    def test_plain_code_and_engine(self, rng, monkeypatch):
        net = generic(rng)
        x, dscores = rng.normal(size=(2, 3, 33, 40)), rng.normal(size=(2, 3, 33, 40))
        expected = net(x), net.backward(dscores)
        with plain():
            monkeypatch.delattr(engine, "conv2d")
            found = net(x), net.backward(dscores)
        for ours, theirs in zip(found, expected):
            close(ours / np.abs(theirs).max(), theirs / np.abs(theirs).max(), 1e-12)

    def test_runs_where_its_arrays_are(self, xp, rng):
        net = generic(rng)
        x, dscores = rng.normal(size=(2, 3, 33, 40)), rng.normal(size=(2, 3, 33, 40))
        scores, dx = net(x), net.backward(dscores)
        net.to("cpu" if xp is np else "cuda").zero_grad()
        there = net(xp.asarray(x))
        assert isinstance(there, xp.ndarray)
        close(there, scores)
        close(net.backward(xp.asarray(dscores)), dx)

    def test_the_first_loss_is_log_k(self, rng):
        net = build("mini_fcn8s_concat", 7, width=4)
        x, labels = rng.normal(size=(2, 3, 40, 50)).astype(np.float32), rng.integers(0, 7, (2, 40, 50))
        loss, dscores = softmax_cross_entropy(net(x), labels)
        assert loss == pytest.approx(np.log(7), rel=1e-6)
        net.backward_params(dscores)
        assert {key for key, gradient in net.grads.items() if gradient.any()} == {"score.weight", "score.bias"}


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-4)])
@pytest.mark.parametrize("frame", [False, True])
def test_scores_and_gradients_are_pytorchs(frame, dtype, tolerance, rng):
    """Written with torch.nn.functional; its crops are written out, as in test_against_torch.py."""
    torch = torch_module()
    f = torch.nn.functional
    net = build("mini_fcn8s_concat", 4, width=4, dtype=dtype, **(FRAME if frame else {}))
    for key, array in net.params.items():
        if key.startswith("score") or key.endswith("bias"):
            array[...] = rng.normal(size=array.shape)
    x, dscores = (rng.normal(size=(2, channels, 45, 70)).astype(dtype) for channels in (3, 4))
    p = {key: torch.tensor(array, requires_grad=True) for key, array in net.state_dict().items()}
    image = torch.tensor(x, requires_grad=True)

    def relu_conv(h, name, padding=0):
        return f.relu(f.conv2d(h, p[f"{name}.weight"], p[f"{name}.bias"], padding=padding))

    def up(h, stride):
        size, channels = 2 * stride, h.shape[1]
        ramp = 1 - (torch.arange(size, dtype=h.dtype) - (size - 1) / 2).abs() / stride
        return f.conv_transpose2d(
            h, torch.outer(ramp, ramp).expand(channels, 1, size, size), None, stride, groups=channels
        )

    def stacked(h, skip, crop):
        if crop < 0:
            h = h[:, :, -crop:, -crop:][:, :, : skip.shape[2], : skip.shape[3]]
        else:
            skip = skip[:, :, crop:, crop:][:, :, : h.shape[2], : h.shape[3]]
        return torch.cat([h, skip], dim=1)

    h, pools = image, []
    for stage in range(1, 6):
        h = f.max_pool2d(relu_conv(h, f"conv{stage}_1", 70 if frame and stage == 1 else 1), 2, ceil_mode=True)
        pools.append(h)
    h = relu_conv(relu_conv(h, "fc6", 0 if frame else 1), "fc7")
    h = relu_conv(stacked(up(h, 2), pools[3], 3 if frame else -1), "merge_pool4", 1)
    h = relu_conv(stacked(up(h, 2), pools[2], 5 if frame else -1), "merge_pool3", 1)
    first = 33 if frame else 4
    expected = up(f.conv2d(h, p["score.weight"], p["score.bias"]), 8)[:, :, first : first + 45, first : first + 70]
    expected.backward(torch.tensor(dscores))

    close(net(x) / expected.abs().max().item(), expected.detach().numpy() / expected.abs().max().item(), tolerance)
    for ours, theirs in [(net.backward(dscores), image.grad), *((net.grads[key], p[key].grad) for key in p)]:
        largest = theirs.abs().max().item()
        assert largest > 0
        close(ours / largest, theirs.numpy() / largest, tolerance)
