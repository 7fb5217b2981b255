"""In hypothesis's place in the runtime, where its compiled core is missing: the same tests with plain random draws.

`given` calls the test with random values of the strategies, 25 times. Bounds are drawn more often than other values.
There is no shrinking and no database. Only what this project's tests use is here.
"""

import functools
import inspect
import random
import zlib
from types import SimpleNamespace

EXAMPLES = 25


class Unsatisfied(Exception):
    """The values that were drawn do not meet an assumption of the test."""


def assume(condition):
    if not condition:
        raise Unsatisfied
    return True


class Strategy:
    """A way to draw a value from a random.Random."""

    def __init__(self, draw):
        self.draw = draw

    def __or__(self, other):
        return Strategy(lambda rng: rng.choice((self, other)).draw(rng))

    def map(self, function):
        return Strategy(lambda rng: function(self.draw(rng)))

    def filter(self, holds):
        def draw(rng):
            for _ in range(100):
                value = self.draw(rng)
                if holds(value):
                    return value
            raise Unsatisfied

        return Strategy(draw)


def given(*positional, **named):
    """As in hypothesis: the strategies fill the last parameters, or those named. Fixtures fill the others."""

    def decorate(test):
        parameters = list(inspect.signature(test).parameters.values())
        last = [parameter.name for parameter in parameters[len(parameters) - len(positional) :]]
        strategies = {**dict(zip(last, positional)), **named}

        @functools.wraps(test)
        def wrapped(*args, **fixtures):
            for values in getattr(wrapped, "examples", []):
                test(*args, **fixtures, **(values if isinstance(values, dict) else dict(zip(last, values))))
            rng, wanted = random.Random(zlib.crc32(test.__qualname__.encode())), getattr(wrapped, "count", EXAMPLES)
            met = 0
            for _ in range(20 * wanted):
                try:
                    test(*args, **fixtures, **{name: strategy.draw(rng) for name, strategy in strategies.items()})
                    met += 1
                except Unsatisfied:
                    continue
                if met == wanted:
                    return
            assert met, "no values met the test's assumptions"

        kept = [parameter for parameter in parameters if parameter.name not in strategies]
        wrapped.__signature__ = inspect.Signature(kept)
        return wrapped

    return decorate


def example(*args, **kwargs):
    """Call the test with these values, too. It may stand above or below `given`."""

    def decorate(test):
        test.examples = [*getattr(test, "examples", []), kwargs or args]
        return test

    return decorate


class settings:
    """As a decorator: at most `max_examples` draws. Profiles have no effect."""

    def __init__(self, max_examples=EXAMPLES, **_):
        self.max_examples = max_examples

    def __call__(self, test):
        test.count = min(self.max_examples, EXAMPLES)
        return test

    @staticmethod
    def register_profile(*_, **__):
        pass

    @staticmethod
    def load_profile(_):
        pass


def _integers(min_value=None, max_value=None):
    low = -(2**65) if min_value is None else min_value
    high = 2**65 if max_value is None else max_value

    def draw(rng):
        return rng.choice((low, high)) if rng.random() < 0.2 else rng.randint(low, high)

    return Strategy(draw)


def _floats(min_value=None, max_value=None):
    special = [min_value, max_value] if min_value is not None else [0.0, float("nan"), float("inf"), float("-inf")]
    low, high = (-1e9, 1e9) if min_value is None else (min_value, max_value)
    return Strategy(lambda rng: rng.choice(special) if rng.random() < 0.2 else rng.uniform(low, high))


def _sampled_from(values):
    values = list(values)
    return Strategy(lambda rng: rng.choice(values))


def _lists(strategy, min_size=0, max_size=None, unique=False):
    most = min_size + 8 if max_size is None else max_size

    def draw(rng):
        size, values = rng.randint(min_size, most), []
        for _ in range(20 * size):
            value = strategy.draw(rng)
            if not unique or value not in values:
                values.append(value)
            if len(values) == size:
                break
        return values if len(values) >= min_size else assume(False)

    return Strategy(draw)


def _dictionaries(keys, values, min_size=0, max_size=None):
    return _lists(_tuples(keys, values), min_size, max_size).map(dict)


def _tuples(*strategies):
    return Strategy(lambda rng: tuple(strategy.draw(rng) for strategy in strategies))


def _binary(min_size=0, max_size=20):
    return Strategy(lambda rng: rng.randbytes(rng.randint(min_size, max_size)))


def _composite(function):
    def make(*args, **kwargs):
        return Strategy(lambda rng: function(lambda strategy: strategy.draw(rng), *args, **kwargs))

    return functools.wraps(function)(make)


def _recursive(base, extend, **_):
    return base | extend(base) | extend(base | extend(base))


def _data():
    return Strategy(lambda rng: SimpleNamespace(draw=lambda strategy: strategy.draw(rng)))


strategies = SimpleNamespace(
    binary=_binary,
    booleans=lambda: _sampled_from([False, True]),
    composite=_composite,
    data=_data,
    dictionaries=_dictionaries,
    floats=_floats,
    integers=_integers,
    lists=_lists,
    none=lambda: _sampled_from([None]),
    recursive=_recursive,
    sampled_from=_sampled_from,
    tuples=_tuples,
)
