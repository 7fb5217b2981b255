"""The published numbers: facts that tie them to the networks here and to each other."""

import pytest

from fcn_from_scratch import geometry, models
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab import published
from fcn_from_scratch.metrics import METRICS


def column(name, which):
    """{system: number} of one column of a table."""
    table = published.table(name)
    place = table.columns.index(which)
    numbers = {row.system: row.numbers.split()[place] for row in table.rows}
    return {system: float(number) for system, number in numbers.items() if number != "-"}


class TestTheData:
    @pytest.mark.parametrize("name", published.TABLES)
    def test_form(self, name):
        table = published.table(name)
        assert table.source
        for row in table.rows:
            assert len(row.numbers.split()) == len(table.columns), row.system
            assert row.model is None or row.model in models.NAMES, row.system
            for word in row.numbers.split():
                assert word == "-" or float(word) > 0

    def test_metrics_are_ordered_as_they_must_be(self):
        """Pixel accuracy is at least frequency weighted IU, mean accuracy at least mean IU: IU <= accuracy."""
        for table in published.TABLES.values():
            if table.columns[:4] != METRICS:
                continue
            for row in table.rows:
                pixel, mean_accuracy, mean_iu, weighted = row.numbers.split()[:4]
                if "-" not in (pixel, weighted):
                    assert float(pixel) > float(weighted)
                if "-" not in (mean_accuracy, mean_iu):
                    assert float(mean_accuracy) > float(mean_iu)

    @pytest.mark.slow
    def test_table_1_describes_the_networks_here(self):
        """Parameters to the million, receptive field and stride; GoogLeNet's with the pool it goes without."""
        for row in published.table("1").rows:
            if row.model == "fcn_googlenet":
                continue
            _, _, _, millions, size, stride = map(float, row.numbers.split())
            net = models.build(row.model, 21, seed=None)
            assert round(sum(array.size for array in net.params.values()) / 1e6) == millions
            field = geometry.receptive_field(net.coarse_path)
            assert (field.size, field.stride) == (size, stride)

    def test_what_the_text_says_of_the_skips(self):
        """Section 4.2: 3.0 mean IU more for 16s, 62.7 for 8s. Section 4.3: the score layer alone gives about 70 %."""
        iu = column("2", "mean_iu")
        assert iu["FCN-16s"] - iu["FCN-32s"] == pytest.approx(3.0)
        assert iu["FCN-8s"] == 62.7
        assert 0.7 < iu["FCN-32s-fixed"] / iu["FCN-32s"] < 0.8

    def test_a_fifth_better(self):
        """Section 5: a relative margin of 20 % over SDS, and 286 times faster."""
        for year in ("mean IU 2011", "mean IU 2012"):
            iu = column("3", year)
            assert iu["FCN-8s"] / iu["SDS"] == pytest.approx(1.2, abs=0.02)
        seconds = column("3", "seconds")
        assert seconds["SDS"] / seconds["FCN-8s"] == pytest.approx(286, abs=1)

    def test_rescored_weights_round_to_what_their_authors_say(self):
        authors = {"fcn32s": 63.6, "fcn16s": 65.0, "fcn8s": 65.5, "fcn8s-atonce": 65.4}
        for system, iu in column("weights", "mean_iu").items():
            for name, value in authors.items():
                if system in (f"{name}-heavy-pascal", f"{name}-pascal"):
                    assert round(iu, 1) == value
        assert set(column("weights", "mean_iu")) >= {"fcn8s-heavy-pascal", "fcn8s-atonce-pascal", "fcn-alexnet-pascal"}

    def test_the_last_digit_of_a_transcription_that_is_wrong_elsewhere(self):
        assert column("4", "pixel_accuracy")["FCN-32s RGB-HHA"] == 64.3
        assert column("5", "geometric_accuracy") == {"Tighe et al. (superparsing)": 90.8, "FCN-16s": 94.3}


class TestRowsFor:
    def test_fcn8s_on_seg11valid(self):
        rows = dict(published.rows_for("fcn8s", "voc", "seg11valid"))
        assert rows["CVPR 2015, Table 2: FCN-8s"]["mean_iu"] == "62.7"
        assert rows["published weights: fcn8s-heavy-pascal"]["frequency_weighted_iu"] == "84.545"
        assert len(rows) == 4

    @pytest.mark.parametrize(
        ("modality", "iu"), [("color", "29.2"), ("color-d", "30.5"), ("hha", "24.2"), ("color-hha", None), (None, None)]
    )
    def test_the_input_decides_too(self, modality, iu):
        rows = published.rows_for("fcn32s", "nyud", "test", modality)
        assert [numbers["mean_iu"] for _, numbers in rows] == ([] if iu is None else [iu])

    def test_late_fusion(self):
        ((_, numbers),) = published.rows_for("fcn32s_late_fusion", "nyud", "test", "color-hha")
        assert numbers["mean_iu"] == "32.8"

    @pytest.mark.parametrize(
        "words",
        [("mini_fcn8s", "shapes", "val"), ("fcn8s", "voc", "val"), ("fcn8s", None, None), (None, "voc", "seg11valid")],
    )
    def test_nothing_to_compare(self, words):
        assert published.rows_for(*words) == []
        assert published.beside(dict.fromkeys(METRICS, 0.5), *words) == ""


class TestText:
    def test_beside(self):
        measured = dict(zip(METRICS, (0.9, 0.75, 0.62005, 0.83)))
        lines = published.beside(measured, "fcn16s", "voc", "seg11valid").splitlines()
        assert lines[0].split() == ["pixel", "acc.", "mean", "acc.", "mean", "IU", "f.w.", "IU"]
        assert lines[1].split() == ["measured", "here", "90.000", "75.000", "62.005", "83.000"]
        assert "CVPR 2015, Table 2: FCN-16s" in lines[2]
        assert lines[2].split()[-4:] == ["90.0", "75.7", "62.4", "83.0"]

    def test_geometric_accuracy(self):
        measured = {**dict.fromkeys(METRICS, 0.5), "geometric_accuracy": 0.9}
        lines = published.beside(measured, "fcn16s_two_heads", "siftflow", "test").splitlines()
        assert lines[0].endswith("geom. acc.")
        assert lines[1].endswith("90.000")
        assert lines[2].endswith("94.3")

    @pytest.mark.parametrize("name", published.TABLES)
    def test_a_table_shows_every_number_and_its_source(self, name):
        text = published.as_text(name)
        assert "Source: " in text
        for row in published.table(name).rows:
            (line,) = [line for line in text.splitlines() if line.startswith(f"{row.system}  ")]
            assert line.split()[-len(published.table(name).columns) :] == row.numbers.split()

    def test_a_wrong_name(self):
        with pytest.raises(InputError, match="no table '6'; there are 1, 2"):
            published.table("6")
