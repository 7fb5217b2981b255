"""Which samples belong to a split: by {split}, by lists, or every fifth sample to val."""

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.own.split_lists import PLACES, find_list, listed
from fcn_from_scratch.datasets.own.splits import canonical

KNOWN = ("train", "val", "trainval", "test")


def divide(samples):
    """(train, val): every fifth sample is val; of fewer than five, the last one. A single sample is both."""
    if len(samples) < 5:
        return samples[:-1] or samples, samples[-1:]
    return [each for number, each in enumerate(samples) if number % 5 != 4], samples[4::5]


def of_split(tree, split, pairs, by_pattern):
    """(the Pairs of a split, a sentence to print or None). Pairs without labels are still among them.

    by_pattern  whether a pattern holds {split}
    Raises: InputError for a split that is not there; the message names those that are.
    """
    if split == "all":
        return pairs, None
    return _by_pattern(split, pairs) if by_pattern else _by_lists(tree, split, pairs)


def _by_pattern(split, pairs):
    split, found = canonical(split), {}
    for pair in pairs:
        found.setdefault(pair.split, []).append(pair)
    halves = [name for name in ("train", "val") if name in found] or (list(found) if len(found) == 1 else [])
    if split in ("train", "val") and len(halves) == 1:
        return _half(split, found[halves[0]], f"there is only the split {halves[0]}")
    if split not in found:
        raise InputError(f"there is no split {split}; there is {' and '.join(sorted(map(str, found)))}")
    return found[split], None


def _half(split, pairs, why):
    """train or val of samples that nobody has divided."""
    labelled = [pair for pair in pairs if pair.labels]
    train, val = divide(labelled)
    told = f"{why}: every fifth sample is val ({len(train)} train, {len(val)} val)"
    alone = [pair for pair in pairs if not pair.labels]
    return (val if split == "val" else train + alone), told


def _by_lists(tree, split, pairs):
    own, asked, split = find_list(tree, split), split, canonical(split)
    found = {name: own if name == split else find_list(tree, name) for name in KNOWN}
    lists = {name: path for name, path in found.items() if path}
    if split not in ("train", "val"):
        if own is None:
            raise InputError(_no_list(tree, asked))
        return listed(own, pairs), None
    if "train" in lists and "val" in lists:
        return listed(lists[split], pairs), None
    if "val" in lists:
        if split == "val":
            return listed(lists["val"], pairs), None
        others = [each for name in ("val", "test") if name in lists for each in listed(lists[name], pairs)]
        base = listed(lists["trainval"], pairs) if "trainval" in lists else pairs
        return _without(base, others), f"there is no list train.txt: train is what {lists['val'].name} does not name"
    for name in ("train", "trainval"):
        if name in lists:
            return _half(split, listed(lists[name], pairs), f"there is only the list {lists[name].name}")
    if "test" in lists:
        rest = _without(pairs, listed(lists["test"], pairs))
        return _half(split, rest, f"there is only the list {lists['test'].name}")
    return _half(split, pairs, "there is only one split")


def _without(pairs, others):
    names = {each.name for each in others}
    return [each for each in pairs if each.name not in names]


def _no_list(tree, split):
    """The sentence about a split without a list, with the lists that are there."""
    beside = []
    for place in PLACES:
        folder = tree.inside(tree.root, *place)
        beside += [name for name in tree.entries(folder)[0] if name.endswith(".txt")] if folder else []
    told = f"there is no list {tree.root / f'{split}.txt'}"
    lists = [name for name in beside if canonical(name[:-4]) in KNOWN]
    if lists:
        return f"{told}, though there is {' and '.join(lists)} beside it"
    more = f"; there is {', '.join(beside[:4])}" if beside else ""
    return f"split must be train, val, all, or the name of a list: {told}{more}"
