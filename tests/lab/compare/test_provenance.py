"""The foot of a slide says how to get its numbers again."""

import datetime

from fcn_from_scratch import __version__
from fcn_from_scratch.lab.compare import provenance

DEFAULTS = {"dataset": "shapes", "root": None, "size": None, "methods": ["32s", "8s"], "out": "runs", "tune": False}


def test_only_what_is_not_default_is_in_the_command():
    assert provenance.command("compare", DEFAULTS, DEFAULTS) == "fcn compare"
    given = {**DEFAULTS, "dataset": "camvid", "root": "folder/CamVid", "out": "elsewhere", "methods": ["8s"]}
    assert provenance.command("compare", given, DEFAULTS) == "fcn compare --dataset camvid --root CamVid --methods 8s"


def test_options_are_written_as_they_are_typed():
    given = {"size": (64, 96), "tune": True, "num_classes": 3, "root": "my data"}
    defaults = {"size": None, "tune": False, "num_classes": None, "root": None}
    expected = "fcn compare --size 64x96 --tune --num-classes 3 --root 'my data'"
    assert provenance.command("compare", given, defaults) == expected


def test_the_date_can_be_given(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert provenance.today() == "1970-01-02"
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert provenance.today() in {
        (datetime.date.today() - datetime.timedelta(days=late)).isoformat() for late in (0, 1)
    }


def test_the_foot_names_command_version_date_steps_and_seeds(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    facts = provenance.about("compare", {"seeds": 2}, {"seeds": 1}, 480, [3, 4], "tuned somewhere")
    assert facts["rates_from"] == "tuned somewhere"
    foot = provenance.foot(facts)
    for words in ("fcn compare --seeds 2", __version__, "1970-01-01", "480 steps", "seeds 3, 4", "tuned somewhere"):
        assert words in foot
    assert "seed 5;" in provenance.foot({**facts, "seeds": [5]})
