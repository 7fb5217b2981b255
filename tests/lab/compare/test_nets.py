"""Stages start from each other's weights. The cache returns the trained networks, or Nets says why it cannot."""

import numpy as np
import pytest

from fcn_from_scratch import models
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.compare import STAGES, Nets, footnotes
from fcn_from_scratch.lab.compare.trunk_file import read_trunk
from fcn_from_scratch.training.finite import DivergedError


def same(net, other):
    a, b = (one if isinstance(one, dict) else one.state_dict() for one in (net, other))
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_the_frozen_trunk_stays_and_the_score_layer_learns(nets):
    trunk, fixed = nets["trunk"].state_dict(), nets["32s-fixed"]
    assert all(np.array_equal(array, trunk[name]) for name, array in fixed.trunk.params.items())
    assert np.abs(fixed.params["score_fr.weight"]).max() > 0
    assert not np.array_equal(nets["32s"].params["conv1_1.weight"], trunk["conv1_1.weight"])


@pytest.mark.parametrize("name", [name for name, stage in STAGES.items() if stage.start])
def test_a_stage_starts_from_the_one_before(nets, name):
    stage = STAGES[name]
    before, start = nets[stage.start].state_dict(), nets.build(stage).params
    shared = [key for key in start if key in before and before[key].shape == start[key].shape]
    assert len(shared) >= 14  # the whole trunk
    assert all(np.array_equal(start[key], before[key]) for key in shared)


def test_all_are_in_eval_mode(nets):
    assert not any(nets[name].training for name in ("trunk", "32s-fixed", "16s"))


def test_upsampling_is_learned_only_where_it_is_said(nets):
    assert "upscore.weight" in nets["32s-learned"].params
    assert "upscore.weight" not in nets["32s"].params


def test_the_cache_gives_the_same_weights_and_trains_nothing(settings, train, nets, tmp_path, said, monkeypatch):
    first = Nets(settings, train, tmp_path, progress=False, say=said.append)["16s-half"]
    assert same(first, nets["16s-half"])
    assert {path.name.rsplit("-", 1)[0] for path in tmp_path.iterdir()} == {"trunk", "32s-half", "16s-half"}
    said.clear()
    monkeypatch.setattr(Nets, "_trained", lambda self, stage: pytest.fail(f"{stage.name} was trained again"))
    again = Nets(settings, train, tmp_path, progress=False, say=said.append)["16s-half"]
    assert same(again, first)
    (line,) = said
    assert "read from" in line
    assert str(tmp_path) in line


class TestDivergence:
    RATE = 1e4

    def nets(self, settings, train, tmp_path, said, **options):
        rates = {"32s-half": self.RATE}
        settings = settings._replace(rates=rates)
        return Nets(settings, train, tmp_path, progress=False, say=said.append, **options)

    def test_it_goes_on_at_half_the_rate(self, settings, train, tmp_path, said, monkeypatch):
        """The first two trainings diverge. The third is that of a stage whose rate was a quarter from the start."""
        real = Nets._trained_at

        def diverging(self, stage):
            if stage.name == "32s-half" and stage.lr > 0.02:
                raise DivergedError("the loss of step 3 is inf")
            return real(self, stage)

        monkeypatch.setattr(Nets, "_trained_at", diverging)
        monkeypatch.setattr(TestDivergence, "RATE", 0.08)
        nets = self.nets(settings, train, tmp_path, said)
        calm = Nets(settings._replace(rates={"32s-half": 0.02}), train, progress=False, say=said.append)
        assert same(nets["32s-half"], calm["32s-half"])
        assert nets.lowered == {"32s-half": 0.02}
        assert calm.lowered == {}
        assert [line.split(":")[0].split()[-1] for line in said if "diverged" in line] == ["0.04", "0.02"]
        (sentence,) = footnotes.lowered(nets)
        assert "32s-half at 0.02" in sentence
        assert footnotes.lowered(calm) == []
        again = self.nets(settings, train, tmp_path, said)  # from the cache
        assert same(again["32s-half"], nets["32s-half"])
        assert again.lowered == nets.lowered

    @pytest.mark.parametrize("halvings", [0, 2])
    def test_it_ends_somewhere(self, settings, train, tmp_path, said, halvings):
        nets = self.nets(settings, train, tmp_path, said, halvings=halvings)
        with pytest.raises(DivergedError, match="learning rate"):
            nets["32s-half"]
        assert sum("diverged" in line for line in said) == halvings
        assert not nets.path("32s-half").exists()

    def test_weights_that_are_not_finite_are_not_trained_again(self, settings, train, tmp_path, said):
        nets = self.nets(settings, train, tmp_path, said)
        nets["trunk"].params["conv1_1.weight"][:] = np.nan
        with pytest.raises(DivergedError, match="conv1_1"):
            nets["32s-half"]
        assert not any("diverged" in line for line in said)


def damage_cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def damage_nothing_left(path):
    path.write_bytes(b"")


def damage_pickle(path):
    with open(path, "wb") as file:
        np.savez(file, a=np.array([{}], object))


def damage_other(path):
    np.savez(path, a=np.zeros(3))


@pytest.mark.parametrize("damage", [damage_cut, damage_nothing_left, damage_pickle, damage_other])
def test_a_damaged_file_is_named_and_made_anew(settings, train, nets, tmp_path, said, damage):
    path = Nets(settings, train, tmp_path).path("trunk")
    Nets(settings, train, tmp_path, progress=False, say=said.append)["trunk"]
    whole = path.read_bytes()
    damage(path)
    said.clear()
    assert same(Nets(settings, train, tmp_path, progress=False, say=said.append)["trunk"], nets["trunk"])
    assert "trained again" in said[0]
    assert path.name in said[0]
    assert "\n" not in said[0]
    assert path.read_bytes() == whole


def test_a_file_of_other_settings_is_not_taken(settings, train, tmp_path, said):
    other = settings._replace(seed=1)
    theirs = Nets(other, train, tmp_path, progress=False, say=said.append)
    theirs["trunk"]
    ours = Nets(settings, train, tmp_path, progress=False, say=said.append)
    theirs.path("trunk").rename(ours.path("trunk"))
    said.clear()
    assert not same(ours["trunk"], theirs["trunk"])
    assert "other settings" in said[0]


def test_a_trunk_from_a_file_is_where_the_others_start(settings, train, nets, tmp_path):
    np.savez(tmp_path / "trunk.npz", **models.build("mini_fcn8s", 4, width=2, fc6_kernel=2, seed=5).state_dict())
    trunk = read_trunk(tmp_path / "trunk.npz", "mini", settings.options)
    assert "score_fr.weight" not in trunk.parameters
    assert "conv5_1.weight" in trunk.parameters
    net = Nets(settings, train, trunk=trunk).build(STAGES["32s-fixed"])
    saved = np.load(tmp_path / "trunk.npz")
    assert all(np.array_equal(array, saved[name]) for name, array in net.trunk.params.items())
    assert not net.params["score_fr.weight"].any()


def test_a_cached_net_is_a_checkpoint_that_knows_itself(settings, train, tmp_path):
    made = Nets(settings, train, tmp_path, progress=False, say=lambda text: None)
    made["32s-half"]
    trunk = read_trunk(made.path("32s-half"))
    assert (trunk.family, trunk.options) == ("mini", settings.options)
    assert trunk.transform == made["32s-half"].transform
    assert same(trunk.parameters, dict(made["32s-half"].trunk.params))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"conv1_1.weight": np.zeros((2, 3, 3, 3))}, "lacks parameters of the trunk: conv1_1.bias"),
        ({"conv1_1.weight": np.zeros((5, 3, 3, 3))}, r"conv1_1.weight has shape \(5, 3, 3, 3\)"),
        ({"something": np.zeros(3)}, "none of its"),
    ],
)
def test_a_file_without_a_whole_trunk_is_refused(tmp_path, settings, arrays, message):
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(InputError, match=message) as error:
        read_trunk(tmp_path / "w.npz", "mini", settings.options)
    assert "w.npz" in str(error.value)
