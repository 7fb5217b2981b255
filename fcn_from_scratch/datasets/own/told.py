"""What is there, in words: for the message of a pattern that matches nothing."""

import difflib
from collections import Counter

from fcn_from_scratch.checks import few
from fcn_from_scratch.datasets.own.patterns import Pattern

SHOWN = 4
COMPARED = 400  # names at most that are compared to find the nearest one


def nothing_matches(tree, pattern):
    """The sentence about a pattern that matches no file, with what is there instead."""
    return f"{pattern.option} {pattern} matches no file in {tree.root}: {_instead(tree, pattern)}"


def _instead(tree, pattern):
    if not tree.root.is_dir():
        return f"there is no folder {tree.root}"
    folder, so_far = tree.root, ""
    for part in pattern.fixed:
        below = tree.inside(folder, part)
        if below is None or not below.is_dir():
            return f"there is no folder {so_far}{part}; {content(tree, folder)}{_root_below(tree, pattern)}"
        folder, so_far = below, f"{so_far}{part}/"
    for part in pattern.parts[:-1]:
        fitting = [name for name in tree.entries(folder)[1] if part is None or part.fullmatch(name)]
        if not fitting:
            return f"no folder there fits; {content(tree, folder)}{_root_below(tree, pattern)}"
        folder = folder / fitting[0]
    return content(tree, folder) + (_deeper(tree, pattern) or _root_below(tree, pattern))


def content(tree, folder):
    """The folders and the endings of the files in a folder."""
    files, folders = tree.entries(folder)
    endings = Counter(name[name.rfind(".") :].lower() if "." in name[1:] else "no extension" for name in files)
    kinds = [f"{count} {ending}" for ending, count in endings.most_common(SHOWN)]
    parts = [f"files: {', '.join(kinds)}"] if kinds else []
    if folders:
        parts.append(f"folders: {', '.join(folders[:SHOWN])}{', ...' if len(folders) > SHOWN else ''}")
    place = tree.place(folder)
    return f"{'it' if folder == tree.root else place} holds {' and '.join(parts) or 'nothing'}"


def _deeper(tree, pattern):
    """A hint where the files lie one folder deeper than a pattern says."""
    above, slash, last = pattern.text.rpartition("/")
    found = next(tree.iterate(Pattern(f"{above}{slash}*/{last}", pattern.option)), None)
    if found is None:
        return ""
    return f"; one folder deeper {found.place} fits: write {above}{slash}{{folder}}/{last} in both patterns, or */"


def _root_below(tree, pattern):
    """A hint where the pattern fits one folder below --root."""
    for name in tree.entries(tree.root)[1]:
        below = type(tree)(tree.root / name)
        if next(below.iterate(pattern), None):
            return f"; it fits in {below.root}: say --root {below.root}"
    return ""


def nothing_pairs(images, labels, pictures, names):
    """The sentence about patterns that match files, but no two with equal words."""
    nearest = _nearest(names, pictures)
    told = f"; the nearest are {nearest[1]} and {nearest[0]}" if nearest else ""
    return (
        f"nothing pairs: --images {images} matches {_files(pictures)} and --labels {labels} {_files(names)}, but no "
        f"two have equal names{told}"
    )


def orphans(images, labels, names, alone):
    """The sentence about labels without a picture; `alone` are the pictures without labels."""
    nearest = _nearest(names, alone)
    told = f"; the picture without labels that is nearest to {nearest[0]} is {nearest[1]}" if nearest else ""
    return (
        f"labels without a picture ({len(names)}): --labels {labels} has {few(names)}, for which --images {images} has "
        f"no file{told}"
    )


def _files(names):
    return f"{len(names):,} file{'s' * (len(names) != 1)}"


def _nearest(names, others):
    """(one of the names, one of the others) that are most alike; None where there are none."""
    best, most = None, -1.0
    for name in names[:3]:
        for other in others[:COMPARED]:
            if (ratio := difflib.SequenceMatcher(None, name, other).ratio()) > most:
                best, most = (name, other), ratio
    return best
