"""The rates are those with the best scores on pictures that training does not see. An interrupted tuning goes on."""

import json
from pathlib import Path

import numpy as np
import pytest

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.compare import STAGES, Nets, tuning
from fcn_from_scratch.lab.compare.tuning import GRID, LISTED, Record, Tuning, best, divided


class Numbers:
    """A dataset of `count` numbers."""

    classes, palette, ignore_index = ("a", "b"), None, 255

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return range(self.count)[index]


@pytest.mark.parametrize(("count", "first", "scored"), [(10, 8, 2), (12, 10, 2), (3, 2, 1), (600, 480, 120)])
def test_the_last_fifth_is_held_out_in_one_piece(count, first, scored):
    train, held_out = divided(Numbers(count))
    assert list(train) == list(range(first))
    assert list(held_out) == list(range(first, first + scored))
    assert train.num_classes == held_out.num_classes == 2


def test_of_many_pictures_some_are_scored_on_evenly_spread():
    train, held_out = divided(Numbers(5000))
    numbers = list(held_out)
    assert len(train) == 4000
    assert len(numbers) == LISTED
    assert numbers[0] == 4000
    assert numbers[-1] > 4980
    assert set(np.diff(numbers)) == {8, 9}


def test_one_picture_cannot_be_divided():
    with pytest.raises(InputError, match="only one"):
        divided(Numbers(1))


def test_the_best_is_the_highest_score_and_of_equals_the_lowest_rate():
    assert best({0.02: 0.3, 0.04: 0.5, 0.08: 0.4}) == 0.04
    assert best({0.08: 0.5, 0.02: 0.5, 0.04: 0.1}) == 0.02
    assert best({0.02: float("nan"), 0.04: 0.1}) == 0.04


class Scripted(Tuning):
    """A Tuning whose trainings cost nothing: `curve` gives the score of a rate, `used` notes the rates in use."""

    def __init__(self, curve, seeds=(0,)):
        self.curve, self.used, self.trained = curve, {}, []
        super().__init__(None, None, seeds, Path("nowhere"), say=lambda text: None)

    def _score(self, name, lr, seed):
        self.trained.append((name, lr, seed))
        self.used[name] = dict(self.rates)
        return self.curve(name, lr, seed)

    def _tidy(self, name, row):
        pass


def test_every_stage_gets_every_rate_of_the_grid_with_every_seed():
    run = Scripted(lambda name, lr, seed: -abs(lr - 0.04), seeds=(11, 12))
    table = run.run()
    assert list(table) == [name for name in STAGES if name != "trunk"]
    assert sorted(run.trained) == sorted((name, lr, seed) for name in table for lr in GRID for seed in (11, 12))
    assert set(run.rates.values()) == {0.04}
    assert GRID == tuple(GRID[0] * 2**power for power in range(4))


def test_the_mean_over_the_seeds_decides():
    scores = {(0.04, 1): 0.9, (0.04, 2): 0.1, (0.08, 1): 0.6, (0.08, 2): 0.6}
    run = Scripted(lambda name, lr, seed: scores.get((lr, seed), 0), seeds=(1, 2))
    table = run.run(["8s"])
    assert run.rates == {"8s": 0.08}
    assert table["8s"] == pytest.approx({0.02: 0, 0.04: 0.5, 0.08: 0.6, 0.16: 0})


def test_a_best_rate_at_the_edge_is_followed_until_it_is_inside():
    up = Scripted(lambda name, lr, seed: -abs(lr - 0.32)).run(["32s-fixed"])["32s-fixed"]
    assert list(up) == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.64])
    down = Scripted(lambda name, lr, seed: -lr).run(["32s"])["32s"]
    assert list(down) == pytest.approx([0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16])  # and no further


def test_a_stage_is_tuned_with_the_best_rates_of_the_stages_before():
    run = Scripted(lambda name, lr, seed: -abs(lr - {"32s-third": 0.08, "16s-third": 0.04}.get(name, 0.04)))
    run.run(["32s-third", "16s-third", "8s-third"])
    assert run.used["8s-third"] == {"32s-third": 0.08, "16s-third": 0.04}
    assert run.used["32s-third"] == {}


@pytest.fixture
def real(settings, train, tmp_path, said):
    """A function that makes a Tuning of the quick comparison, with its cache in tmp_path."""
    part, held_out = divided(train)

    def nets_of(seed, rates):
        mine = settings._replace(seed=seed, rates=rates)
        return Nets(mine, part, tmp_path / "tuning", progress=False, say=said.append)

    return lambda **options: Tuning(
        nets_of,
        lambda seed: held_out,
        (0,),
        tmp_path / "scores.json",
        grid=(0.02, 0.04, 0.01),
        say=said.append,
        **options,
    )


def test_an_interrupted_tuning_goes_on(real, monkeypatch, said):
    first = real().run(["32s", "32s-half"])
    assert any("steps in" in line for line in said)
    monkeypatch.setattr(Nets, "__getitem__", lambda self, name: pytest.fail(f"{name} was trained again"))
    assert real().run(["32s", "32s-half"]) == first


def test_only_weights_from_which_others_start_are_kept(real, tmp_path):
    run = real()
    run.run(["8s", "32s-half"])
    kept = {path.name.rsplit("-", 1)[0] for path in (tmp_path / "tuning").iterdir()}
    assert kept == {"trunk", "32s-half"}
    assert len(list((tmp_path / "tuning").iterdir())) == 2
    assert run.nets_of(0, run.rates).path("32s-half").exists()


def test_a_training_that_fails_scores_nothing_and_is_named(real, monkeypatch, said):
    def fail(self, stage):
        if stage.name == "8s" and stage.lr == 0.04:
            raise InputError("the loss of step 3 is nan")
        return trained(self, stage)

    trained = Nets._trained
    monkeypatch.setattr(Nets, "_trained", fail)
    table = real().run(["8s"])
    assert table["8s"][0.04] == 0
    assert "  8s at the rate 0.04, seed 0: the loss of step 3 is nan" in said


RECORD = Record({"8s": {0.02: 0.5, 0.04: 0.61}, "32s": {0.04: 0.4}}, {"8s": 0.04, "32s": 0.04}, 480, [11, 12])


def test_a_record_is_read_as_it_was_written(tmp_path):
    tuning.write_record(tmp_path / "rates.json", RECORD)
    assert tuning.read_record(tmp_path / "rates.json") == RECORD
    assert tuning.read_record(tmp_path / "nothing.json") is None


def test_a_second_tuning_adds_its_stages_to_those_of_the_first():
    later = Record({"8s": {0.02: 0.7}, "16s": {0.08: 0.3}}, {"8s": 0.02, "16s": 0.08}, 480, [11, 12])
    both = later.beside(RECORD)
    assert both.rates == {"8s": 0.02, "16s": 0.08, "32s": 0.04}
    assert both.scores == {"8s": {0.02: 0.7}, "16s": {0.08: 0.3}, "32s": {0.04: 0.4}}
    assert later.beside(None) == later
    for other in (RECORD._replace(steps=100), RECORD._replace(seeds=[11])):
        assert later.beside(other) == later


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"rates": {"8s": "x"}, "scores": {}, "steps": 1, "seeds": []}'])
def test_a_damaged_record_is_named(content, tmp_path):
    (tmp_path / "rates.json").write_text(content)
    with pytest.raises(InputError, match=r"rates.json holds no rates"):
        tuning.read_record(tmp_path / "rates.json")


def test_stages_of_another_version_are_left_out(tmp_path):
    value = {"rates": {"8s": 0.04, "64s": 0.1}, "scores": {}, "steps": 1, "seeds": [0]}
    (tmp_path / "rates.json").write_text(json.dumps(value))
    assert tuning.read_record(tmp_path / "rates.json").rates == {"8s": 0.04}


def test_the_table_marks_the_best():
    heading, eight, coarse = tuning.text(RECORD).splitlines()
    assert heading.split() == ["stage", "0.02", "0.04"]
    assert eight.split() == ["8s", "0.500", "0.610*"]
    assert coarse.split() == ["32s", "0.400*"]
    assert coarse.index("0.400") == eight.index("0.610")


def test_a_longer_training_avoids_rates_next_to_one_that_diverged():
    """32s: twice the best rate diverged, so the best of the others is taken. 16s: its double trained."""
    scores = {"32s": {0.02: 0.3, 0.04: 0.2, 0.08: 0.4, 0.16: 0.0}, "16s": {0.02: 0.1, 0.04: 0.5, 0.08: 0.2, 0.16: 0.0}}
    record = Record(scores, {"32s": 0.08, "16s": 0.04}, steps=200, seeds=[11])
    assert record.for_steps(200) == record.for_steps(50) == {"32s": 0.08, "16s": 0.04}
    assert record.for_steps(201) == {"32s": 0.02, "16s": 0.04}


def test_a_stage_whose_rates_all_diverged_keeps_its_rate():
    record = Record({"32s": {0.02: 0.0, 0.04: 0.0}, "16s": {}}, {"32s": 0.02, "16s": 0.04}, steps=2, seeds=[1])
    assert record.for_steps(9) == {"32s": 0.02, "16s": 0.04}


def test_a_record_belongs_to_data_and_networks_whatever_seed_and_steps(settings, tmp_path):
    path = tuning.record_path(tmp_path, settings, {"a": 1})
    for same in ({"seed": 5}, {"steps": 9}, {"data": {}}, {"rates": {"8s": 1}}):
        assert tuning.record_path(tmp_path, settings._replace(**same), {"a": 1}) == path
    for other in ({"batch_size": 3}, {"crop": (8, 8)}, {"weights": "1f"}, {"options": {"width": 3}}):
        assert tuning.record_path(tmp_path, settings._replace(**other), {"a": 1}) != path
    assert tuning.record_path(tmp_path, settings, {"a": 2}) != path
