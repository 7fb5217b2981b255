"""Find the parameters in what a trainer saved: a dict of tensors, which may lie in other dicts, under any key."""

import re
from collections import deque
from typing import NamedTuple

from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.weights.placeholders import Placeholder
from fcn_from_scratch.weights.torch_objects import Tensor
from fcn_from_scratch.weights.trust import printable

KNOWN = ("model_state_dict", "state_dict", "model")  # most trainers keep the parameters under one of these
BESIDE = re.compile("optim|sched|scaler|criterion|loss|ema|average", re.IGNORECASE)  # hardly ever the parameters
DEEPEST = 6  # dicts in dicts
CONTAINERS = (dict, list, tuple, Placeholder)
ADVICE = "torch.save(model.state_dict(), FILE) writes one that can be read"


class Found(NamedTuple):
    """A dict of tensors: its keys from outside in, the dict, and how many tensors it holds by name."""

    keys: tuple
    state: dict
    tensors: int

    @property
    def words(self):
        """The keys as in Python: ['net']['weights']."""
        return "".join(f"[{_short(key)!r}]" for key in self.keys)

    @property
    def is_mostly_tensors(self):
        return self.tensors * 2 > len(self.state)


def find(content):
    """The dict of tensors in a file's content. Returns: Found.

    The content is that dict, or a trainer's dict or list in which it lies. First it is sought under KNOWN. If there are
    several elsewhere, those of optimisers and the like are left out, and a few tensors beside other values, such as a
    score, do not make a dict of tensors. Objects of unknown classes that were filled as dicts are searched as dicts.
    The attributes of objects are searched only if there is nothing else: a picture's mean may lie there, too.
    Raises: InputError when there is none, or when several are left to choose from; it names them.
    """
    for key in KNOWN:
        inner = _members(content).get(key)
        if found := _all(inner, (key,)) or _all(inner, (key,), _members):
            return _the_one(found, (key,))
    found = _all(content) or _all(content, (), _members)
    if not found:
        raise InputError(_nothing(content))
    return _the_one(found, ())


def _items(value):
    """A dict, or what an object holds that was filled as a dict; {} for anything else."""
    if isinstance(value, Placeholder):
        return value.items or {}
    return value if isinstance(value, dict) else {}


def _members(value):
    """As _items, with the attributes of an object that has no items. A whole network is none: it is refused."""
    found = _items(value)
    if found or not isinstance(value, Placeholder) or not value.attributes or "_parameters" in value.attributes:
        return found
    return value.attributes


def _all(content, keys=(), members=_items):
    """Every dict that holds tensors by name, from outside in. Each is found once, wherever it lies.

    members   the function that looks into a value: _items or _members
    """
    found, seen, queue = [], set(), deque([(keys, content)])
    while queue:
        keys, value = queue.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        inner = members(value)
        tensors = sum(isinstance(each, Tensor) for name, each in inner.items() if isinstance(name, str))
        found += [Found(keys, inner, tensors)] if tensors else []
        if len(keys) < DEEPEST:
            queue += [((*keys, key), each) for key, each in _inside(value, inner) if isinstance(each, CONTAINERS)]
    return found


def _inside(value, inner):
    """(key, value) of what may hold a dict of tensors. An optimiser's state has numbers as keys: none of it may."""
    if isinstance(value, (list, tuple)):
        return [] if isinstance(value, Tensor) else list(enumerate(value))
    return [(key, each) for key, each in inner.items() if isinstance(key, str)]


def _the_one(found, top):
    """The one among several dicts that holds the parameters. `top` are the keys of the dict that was searched."""
    outermost = found[0]
    has_most = outermost.keys == top and all(outermost.tensors >= other.tensors for other in found)
    if has_most and (top or outermost.is_mostly_tensors):
        return outermost
    for is_right in (
        lambda one: not any(BESIDE.search(key) for key in one.keys if isinstance(key, str)),
        lambda one: one.is_mostly_tensors,
    ):
        found = [one for one in found if is_right(one)] or found
    inside = [one for one in found if one.keys]
    if outermost in found and len(inside) == 1 and inside[0].tensors > outermost.tensors:
        return inside[0]  # such as a mean and a deviation beside the parameters
    if len(found) > 1:
        names = few([one.words or "its top" for one in found])
        raise InputError(
            f"it holds {len(found)} dicts of tensors, at {names}; save the right one alone: "
            f"torch.save(torch.load(FILE, weights_only=True){found[0].words or found[1].words}, NEW)"
        )
    return found[0]


def _nothing(content):
    if not isinstance(content, dict):
        what = content.name if isinstance(content, Placeholder) else type(content).__name__
        return f"it holds a {what} and not a dict of tensors; {ADVICE}"
    return f"it holds no tensors by name but {few([str(_short(key)) for key in content]) or 'nothing'}; {ADVICE}"


def _short(key):
    """A key of a dict, fit to be printed."""
    return printable(str(key)[:60]) if isinstance(key, (str, Placeholder)) else int(key)
