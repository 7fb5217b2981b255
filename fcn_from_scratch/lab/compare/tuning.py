"""The learning rate of every stage, chosen on one grid: the code of `fcn compare --tune`.

Every stage of the plan is trained with every rate of GRID, for its own number of steps, on one part of the training
pictures, and scored on the other part. If the first or the last rate is the best, the next one is tried too. The
pictures of the comparison itself are not touched. The stages are tuned in the order of the plan, and a stage starts
from the best weights of the stage before.
"""

import hashlib
import json
import math
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.base import Dataset
from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.lab.compare.training_plan import STAGES, TRUNK
from fcn_from_scratch.training import evaluate

GRID = (0.02, 0.04, 0.08, 0.16)
FURTHER = 3  # rates beyond the grid at most, each half or twice the last
PARTS = 5  # the last fifth of the training pictures is held out
LISTED = 120  # pictures to score on at most


class Part(Dataset):
    """Some of the pictures of another dataset, by their numbers."""

    def __init__(self, dataset, numbers):
        self.dataset, self.numbers = dataset, list(numbers)
        self.classes, self.palette, self.ignore_index = dataset.classes, dataset.palette, dataset.ignore_index

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        return self.dataset[self.numbers[index]]


def divided(train):
    """(pictures to train on, pictures to score on): the last fifth is held out, in one piece.

    Neighbours in a list are often neighbours in a video. In one piece hardly any held-out picture has a neighbour
    among those that the networks are trained on. If there are many, some of them, evenly spread, are scored on.
    Raises: InputError if there is only one picture.
    """
    if len(train) < 2:
        raise InputError("--tune holds a part of the training pictures out, and there is only one")
    first = len(train) - max(1, len(train) // PARTS)
    number = min(LISTED, len(train) - first)
    return Part(train, range(first)), Part(
        train, [first + place * (len(train) - first) // number for place in range(number)]
    )


class Tuning:
    """The tuning of one kind of data and network, over one or several seeds.

    nets_of  function: seed, rates -> Nets with a cache, whose dataset is what `divided` trains on
    scored   function: seed -> the dataset to score on
    path     of the file with the scores of all trainings so far, so that an interrupted tuning goes on
    """

    def __init__(self, nets_of, scored, seeds, path, grid=GRID, say=print):
        self.nets_of, self.scored, self.seeds = nets_of, scored, list(seeds)
        self.path, self.grid, self.say = path, tuple(grid), say
        self.rates, self.scores = {}, _read(path)

    def run(self, stages=None):
        """Tune the stages and all stages that they start from; returns name of a stage -> {rate: mean IU}."""
        wanted = [name for name in STAGES if name != TRUNK and (stages is None or name in stages)]
        table = {}
        for name in wanted:
            table[name] = self._row(name)
            self.rates[name] = best(table[name])
            line = "  ".join(f"{lr:g}: {score:.3f}" for lr, score in table[name].items())
            self.say(f"  {name:12} {line}   best {self.rates[name]:g}")
            self._tidy(name, table[name])
        return table

    def _row(self, name):
        """rate -> mean IU. While the best rate is the first or the last, the next rate is tried too."""
        row = {lr: self._mean(name, lr) for lr in self.grid}
        for _ in range(FURTHER):
            further = {max(row): 2 * max(row), min(row): min(row) / 2}.get(best(row))
            if further is None:
                break
            row[further] = self._mean(name, further)
        return dict(sorted(row.items()))

    def _mean(self, name, lr):
        return float(np.mean([self._score(name, lr, seed) for seed in self.seeds]))

    def _score(self, name, lr, seed):
        nets = self.nets_of(seed, {**self.rates, name: lr})
        key = nets.settings.key(name)
        if key not in self.scores:
            try:
                self.scores[key] = evaluate(nets[name], self.scored(seed)).scores()["mean_iu"]
            except InputError as error:  # the loss is not finite
                self.say(f"  {name} at the rate {lr:g}, seed {seed}: {error}")
                self.scores[key] = 0.0
            self.scores |= _read(self.path)  # of another tuning at the same time
            write_atomically(self.path, lambda file: file.write(json.dumps(self.scores, indent=1).encode()))
        return self.scores[key]

    def _tidy(self, name, row):
        """Remove the stage's weights from the cache, except those from which another stage starts."""
        needed = name in {stage.start for stage in STAGES.values()}
        for lr in row:
            for seed in self.seeds:
                if not (needed and lr == self.rates[name]):
                    self.nets_of(seed, {**self.rates, name: lr}).path(name).unlink(missing_ok=True)


def best(scores):
    """The rate with the highest score; of equal scores the lowest rate."""
    return max(sorted(scores), key=lambda lr: -math.inf if math.isnan(scores[lr]) else scores[lr])


class Record(NamedTuple):
    """The outcome of a tuning.

    scores  name of a stage -> {rate: mean IU}
    rates   name of a stage -> the best rate
    steps   of training of each network
    seeds   over which the scores were averaged
    """

    scores: dict
    rates: dict
    steps: int
    seeds: list

    def for_steps(self, steps):
        """name of a stage -> its rate in a comparison of so many steps.

        A rate may train a short while and diverge later. So, if the comparison has more steps than the tuning and twice
        the best rate diverged, the best of those is taken whose double has trained. A training that diverged has the
        score 0.
        """
        if steps <= self.steps:
            return dict(self.rates)
        rates = {}
        for name, rate in self.rates.items():
            row = self.scores.get(name, {})
            safe = {lr: score for lr, score in row.items() if score != 0 and row.get(2 * lr) != 0}
            rates[name] = best(safe) if safe and row.get(2 * rate) == 0 else rate
        return rates

    def beside(self, other):
        """This Record with the stages that only `other` has, if both were made with the same steps and seeds."""
        if other is None or (other.steps, other.seeds) != (self.steps, self.seeds):
            return self
        return self._replace(scores={**other.scores, **self.scores}, rates={**other.rates, **self.rates})


def record_path(cache, settings, data):
    """Where the rates for these networks and data are kept. `data` identifies the data whatever the seed.

    The steps are not part of it. So rates can be tuned with fewer steps than the comparison's.
    """
    about = settings._replace(seed=0, steps=0, rates=None, data=data)._asdict()
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    return cache / f"rates-{digest[:12]}.json"


def write_record(path, record):
    """Write a Record as JSON."""
    value = record._replace(scores={name: list(map(list, row.items())) for name, row in record.scores.items()})
    write_atomically(path, lambda file: file.write((json.dumps(value._asdict(), indent=2) + "\n").encode()))


def read_record(path):
    """The Record of a file; None if there is no such file. Raises: InputError for a damaged file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        scores = {name: dict(map(tuple, row)) for name, row in value["scores"].items()}
        rates = {name: float(lr) for name, lr in value["rates"].items() if name in STAGES}
        return Record(scores, rates, int(value["steps"]), list(value["seeds"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} holds no rates: {error}; remove it, or run fcn compare --tune again") from None


def text(record):
    """The table of a Record: a line for each stage, a column for each rate, the best with a star."""
    grid = sorted({lr for row in record.scores.values() for lr in row})
    lines = [f"{'stage':12}" + "".join(f"{lr:>9g}" for lr in grid)]
    for name, row in record.scores.items():
        cells = (f"{row[lr]:.3f}{'*' if lr == record.rates[name] else ' '}" if lr in row else "" for lr in grid)
        lines.append(f"{name:12}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def _read(path):
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
