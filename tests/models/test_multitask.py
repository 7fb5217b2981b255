"""Two heads on one trunk: names, shapes, alignment, and a trunk that gets the gradients of both heads."""

import numpy as np
import pytest
from arrays import close, refuses, shapes_of

from fcn_from_scratch import geometry
from fcn_from_scratch.gradcheck import layer_check
from fcn_from_scratch.models import build, transplant

STRIDES = ["32s", "16s", "8s"]
# of one head, in the order of the paper's public siftflow nets
HEADS = {
    "32s": "score_fr{0} upscore{0} crop{0}",
    "16s": "score_fr{0} upscore2{0} score_pool4{0} upscore16{0} crop{0}",
    "8s": "score_fr{0} upscore2{0} score_pool4{0} upscore_pool4{0} score_pool3{0} upscore8{0} crop{0}",
}


def generic(name, rng, num_classes=(4, 3), **options):
    """A float64 network none of whose parameters is zero."""
    net = build(name, num_classes, width=3, dtype=np.float64, seed=1, **options)
    for key, array in net.params.items():
        if key.startswith("score") or key.endswith("bias"):
            array[...] = rng.uniform(-1, 1, size=array.shape)
    return net


def gradients(net, x, dscores):
    net.zero_grad()
    net(x)
    dx = net.backward(dscores)
    return {"dx": dx, **{key: gradient.copy() for key, gradient in net.grads.items()}}


class Semantic:
    """One of the heads' scores alone, as the other one would be told by nobody: for the gradient check."""

    def __init__(self, net, which):
        self.net, self.which = net, which
        self.params, self.grads, self.zero_grad = net.params, net.grads, net.zero_grad

    def forward(self, x):
        self.scores = self.net(x)
        return self.scores[self.which]

    __call__ = forward

    def backward(self, dy):
        return self.net.backward([dy if n == self.which else 0 * y for n, y in enumerate(self.scores)])


class TestStructure:
    @pytest.mark.parametrize("stride", STRIDES)
    def test_layers_have_the_papers_names(self, stride):
        one, two = build(f"fcn{stride}", 2, width=1), build(f"fcn{stride}_two_heads", (2, 2), width=1)
        trunk = list(one.trunk.children)
        assert list(two.children) == trunk + [n for s in ("_sem", "_geo") for n in HEADS[stride].format(s).split()]

    def test_shapes_and_number_of_parameters_for_sift_flow(self, weightless):
        shapes = shapes_of(build("fcn8s_two_heads", (33, 3)))
        for layer, channels in (("score_fr", 4096), ("score_pool4", 512), ("score_pool3", 256)):
            assert shapes[f"{layer}_sem.weight"] == (33, channels, 1, 1)
            assert shapes[f"{layer}_geo.weight"] == (3, channels, 1, 1)
        trunk = 14_714_688 + 102_764_544 + 16_781_312
        heads = (33 + 3) * (4096 + 512 + 256 + 3)
        assert sum(int(np.prod(shape)) for shape in shapes.values()) == trunk + heads

    @pytest.mark.parametrize(("stride", "offsets"), [("32s", [19]), ("16s", [5, 27]), ("8s", [5, 9, 31])])
    def test_crops_are_those_of_one_head(self, stride, offsets):
        net = build(f"fcn{stride}_two_heads", (2, 3), width=1)
        explained = geometry.explain_crops(net)
        assert [offset for _, offset, _ in explained] == 2 * offsets
        assert [name for name, _, _ in explained][-1] == "crop_geo"
        for head in net.heads:
            assert [fuse.offset[0] for _, _, fuse in head.skips] + [head.crop.offset[0]] == offsets
        assert tuple(geometry.receptive_field(net)) == (404, 32, 12.5)
        assert geometry.sizes_that_fit(net) == list(range(1, 1500))

    def test_the_table_counts_both_heads_and_the_trunk_once(self):
        one, two = (build(name, k, width=2) for name, k in (("fcn8s", 4), ("fcn8s_two_heads", (4, 3))))
        single, double = geometry.table(one, 96), geometry.table(two, 96)
        assert double.parameters == sum(array.size for array in two.params.values())
        up = sum(single.row(name).multiply_adds for name in ("score_fr", "score_pool4", "score_pool3", "upscore8"))
        assert single.multiply_adds < double.multiply_adds < single.multiply_adds + 1.2 * up
        assert double.row("score_fr_geo").channels == 3
        assert double.row("crop_sem").size == (96, 96)

    def test_a_number_of_classes_is_the_semantic_ones(self):
        assert build("mini_fcn8s_two_heads", 7, width=1).num_classes == (7, 3)
        assert build("mini_fcn8s_two_heads", [7, 4], width=1).num_classes == (7, 4)
        with refuses("num_classes must be an integer or a pair of integers; got (7, 3, 2)"):
            build("mini_fcn8s_two_heads", (7, 3, 2), width=1)
        with refuses("num_classes must be at least 1; got (0, 3)"):
            build("mini_fcn8s_two_heads", 0, width=1)

    def test_kernels_of_public_files_are_compared(self):
        net = build("mini_fcn32s_two_heads", (2, 3), width=1)
        with refuses("upscore_geo.weight is not the bilinear kernel of size 64"):
            net.load_state_dict(net.state_dict() | {"upscore_geo.weight": np.zeros((3, 3, 64, 64))})


class TestForward:
    @pytest.mark.parametrize("stride", STRIDES)
    def test_each_head_is_the_network_of_one(self, stride, rng):
        net = generic(f"mini_fcn{stride}_two_heads", rng)
        x = rng.normal(size=(2, 3, 45, 70))
        for scores, suffix, classes in zip(net(x), ("_sem", "_geo"), (4, 3)):
            alone = build(f"mini_fcn{stride}", classes, width=3, dtype=np.float64)
            alone.load_state_dict(
                {key: net.params.get(key, net.params.get(key.replace(".", f"{suffix}."))) for key in alone.params}
            )
            close(scores, alone(x))
            assert scores.shape == (2, classes, 45, 70)

    @pytest.mark.parametrize("size", [(1, 1), (3, 70), (65, 97)])
    def test_scores_have_the_images_size(self, size):
        scores = build("fcn8s_two_heads", (2, 3), width=1).eval()(np.ones((1, 3, *size), np.float32))
        assert [y.shape for y in scores] == [(1, 2, *size), (1, 3, *size)]


class TestBackward:
    @pytest.mark.parametrize("stride", STRIDES)
    def test_the_trunks_gradient_is_the_sum_over_the_heads(self, stride, rng):
        net, x = generic(f"mini_fcn{stride}_two_heads", rng), rng.normal(size=(2, 3, 33, 40))
        dscores = [rng.normal(size=y.shape) for y in net(x)]
        both = gradients(net, x, dscores)
        alone = [gradients(net, x, [dy if n == k else 0 * dy for n, dy in enumerate(dscores)]) for k in (0, 1)]
        for key, gradient in both.items():
            parts = [of_one[key] for of_one in alone]
            close(gradient, parts[0] + parts[1])
            shared = "_sem." not in key and "_geo." not in key
            assert [bool(part.any()) for part in parts].count(True) == (2 if shared else 1)

    def test_a_head_learns_from_its_own_loss_alone(self, rng):
        net, x = generic("mini_fcn8s_two_heads", rng), rng.normal(size=(1, 3, 33, 40))
        sem, geo = (rng.normal(size=y.shape) for y in net(x))
        first, second = gradients(net, x, (sem, geo)), gradients(net, x, (sem, 5 * geo))
        for key in first:
            same = np.allclose(first[key], second[key], rtol=1e-12, atol=0)
            assert same == ("_sem." in key)

    @pytest.mark.parametrize("pick", [lambda scores: scores[0], lambda scores: scores[:1]])
    def test_each_head_wants_its_gradient(self, pick):
        net = build("mini_fcn8s_two_heads", (4, 3), width=1)
        with refuses("TwoHeads 'mini_fcn8s_two_heads' has two heads: backward takes two gradients"):
            net.backward(pick(net(np.ones((1, 3, 33, 40), np.float32))))

    @pytest.mark.parametrize("which", [0, 1])
    def test_finite_differences(self, which, rng):
        net = generic("mini_fcn8s_two_heads", rng)
        errors = layer_check(Semantic(net, which), rng.normal(size=(2, 3, 21, 38)), rng, directions=2, eps=1e-6)
        suffix = ("_geo.", "_sem.")[which]  # whose gradient is zero here
        assert max(error for key, error in errors.items() if suffix not in key) < 1e-7

    def test_starts_at_zero_scores(self, rng):
        net = build("mini_fcn8s_two_heads", (4, 3), width=2, dtype=np.float64)
        x = rng.normal(size=(1, 3, 40, 50))
        scores = net(x)
        assert not any(y.any() for y in scores)
        net.backward([rng.normal(size=y.shape) for y in scores])
        assert {key.split(".")[0] for key, g in net.grads.items() if g.any()} == {
            f"score_{pool}_{head}" for pool in ("fr", "pool4", "pool3") for head in ("sem", "geo")
        }

    def test_a_frozen_trunk_gets_nothing(self, rng):
        net, x = generic("mini_fcn8s_two_heads", rng).freeze_trunk(), rng.normal(size=(1, 3, 33, 40))
        dscores = [rng.normal(size=y.shape) for y in net(x)]
        assert net.backward(dscores) is None
        assert not net.grads["conv1_1.weight"].any()
        assert net.grads["score_pool3_geo.weight"].any()


class TestSurgery:
    def test_a_trunk_and_one_head(self, rng):
        """A network of one head fills the trunk and, with the suffix, the head of its kind."""
        old = generic("mini_fcn16s", rng, 4)
        new = build("mini_fcn16s_two_heads", (4, 3), width=3, dtype=np.float64)
        plain = transplant(new, old)
        assert plain.dropped == [f"score_{p}.{k}" for p in ("fr", "pool4") for k in ("weight", "bias")]
        assert len(plain.initialised) == 8
        new = build("mini_fcn16s_two_heads", (4, 3), width=3, dtype=np.float64)
        report = transplant(new, old, "_sem")
        assert report.dropped == []
        assert report.initialised == [f"score_{p}_geo.{k}" for p in ("fr", "pool4") for k in ("weight", "bias")]
        x = rng.normal(size=(1, 3, 40, 50))
        semantic, geometric = new(x)
        np.testing.assert_array_equal(semantic, old(x))
        assert not geometric.any()

    def test_stages(self, rng):
        first = generic("mini_fcn32s_two_heads", rng)
        second = build("mini_fcn16s_two_heads", (4, 3), width=3, dtype=np.float64)
        report = transplant(second, first)
        assert report.dropped == []
        assert report.initialised == [f"score_pool4_{h}.{k}" for h in ("sem", "geo") for k in ("weight", "bias")]
