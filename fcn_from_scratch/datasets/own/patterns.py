"""Patterns of file names, such as `{split}/{}_mask.png`: which files they match, and with which words.

    {word}   one or more characters inside one folder or file name; {} is {name}
    {split}  a split under any of its usual names (see splits.py)
    *        any characters inside one folder or file name; they are not compared
    **       any number of folders
    .*       at the end: any one extension

A word takes as many characters as it can. Matching is anchored, ignores case, and compares in Unicode's normal form C.
Folders are separated by "/"; "\\" is read as "/".
"""

import re
from pathlib import PurePosixPath

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.lists import nfc
from fcn_from_scratch.datasets.own.splits import CANONICAL, canonical

NAME, SPLIT = "name", "split"
TOKEN = re.compile(r"\{([^{}/]*)\}|(\*+)")
MOST = 12  # words and stars in one pattern: with many of them, a long name would take for ever


class Pattern:
    """A pattern as it was typed.

    option  the option that it was typed for; messages name it
    splits  further names that {split} stands for
    words   the words that it holds, in their order, without {split}; {name} is the last
    split   whether it holds {split}
    ending  the extension that it asks for, ".png"; "" for none; any_ending tells whether it ends with `.*`
    split_depth  at which place of a file's parent folders the folder of {split} is; None where it has none of its own
    first   its first folder that holds a word or a star, or its file name
    parts   its folders and its file name as regular expressions, for a walk from folder to folder; None is `**`
    Raises: InputError for a pattern that is not sound.
    """

    def __init__(self, text, option="--images", splits=()):
        self.text, self.option = text, option
        texts = _parts(text, option)
        self.fixed = _fixed(texts)  # the folders before the first word or star
        texts = texts[len(self.fixed) :]
        self.first = texts[0]
        self.any_ending = texts[-1].endswith(".*")
        self.ending = "" if self.any_ending else PurePosixPath(texts[-1]).suffix.lower()
        typed = [word or NAME for word, star in TOKEN.findall("/".join(texts)) if not star]
        words = [word for word in dict.fromkeys(typed) if word not in (SPLIT, NAME)]
        self.words = (*words, *[NAME] * (NAME in typed))
        self.split = SPLIT in typed
        self.split_depth = _split_depth(texts)
        names = sorted([*CANONICAL, *map(re.escape, splits)], key=len, reverse=True)
        self._split = f"(?:{'|'.join(names)})"
        self._groups = []
        self._whole = re.compile(self._joined(texts), re.IGNORECASE | re.DOTALL)
        self.parts = [None if each == "**" else self._part(each, each is texts[-1]) for each in texts]

    def with_split(self, name):
        """This pattern, where {split} also stands for `name`."""
        return Pattern(self.text, self.option, (name,))

    def __str__(self):
        return self.text

    def match(self, path):
        """(words, split) of a path below the fixed folders, or None. The words are a tuple in the order of `words`."""
        found = self._whole.fullmatch(nfc(path))
        if not found:
            return None
        values = dict(zip(self._groups, found.groups()))
        splits = {canonical(found[n]) for n, word in enumerate(self._groups, start=1) if word == SPLIT}
        if len(splits) > 1:
            return None
        return tuple(values[word] for word in self.words), next(iter(splits), None)

    def _joined(self, texts):
        """The regular expression of the whole path; its groups are the words and every {split}."""
        return "".join(
            "(?:[^/]+/)*" if each == "**" else _expression(each, self._group, last) + "/" * (not last)
            for each, last in ((each, each is texts[-1]) for each in texts)
        )

    def _part(self, text, last):
        """One folder or file name on its own, where words may have any value."""
        loose = _expression(text, lambda word: self._split if word == SPLIT else "[^/]+", last)
        return re.compile(loose, re.IGNORECASE | re.DOTALL)

    def _group(self, word):
        if word != SPLIT and word in self._groups:
            return f"(?:\\{self._groups.index(word) + 1})"
        self._groups.append(word)
        return f"({self._split if word == SPLIT else '[^/]+'})"


def _parts(text, option):
    """The folders and the file name of a pattern."""
    given = nfc(str(text)).replace("\\", "/")
    parts = [part for part in given.split("/") if part not in ("", ".")]
    if given.startswith("/"):
        parts = ["/", *parts]
    if not parts or given.endswith("/") or parts[-1] in ("/", "..", "**"):
        raise InputError(f"{option} {text}: a pattern ends with the name of a file, such as images/{{}}.png")
    rest = TOKEN.sub("", given)
    if "{" in rest or "}" in rest:
        raise InputError(f"{option} {text}: a brace has no partner, or stands in another one; a word is {{name}}")
    if re.search(r"\}\{", given):
        raise InputError(
            f"{option} {text}: two words touch, so nobody can tell where one ends; put a character between"
        )
    if len(TOKEN.findall(given)) > MOST:
        raise InputError(f"{option} {text}: a pattern has at most {MOST} words and stars")
    return parts


def _fixed(texts):
    """The leading folders that hold no word and no star."""
    free = next((number for number, part in enumerate(texts[:-1]) if TOKEN.search(part)), len(texts) - 1)
    return texts[:free]


def _split_depth(texts):
    """The number of folders between a file and the folder of its split: pictures/{split}/{city}/{}.png has 1."""
    places = [place for place, text in enumerate(texts[:-1]) if f"{{{SPLIT}}}" in text]
    return None if not places or "**" in texts else len(texts) - 2 - places[0]


def _expression(text, word, last):
    """A folder or file name as a regular expression. `word` gives that of a word."""
    ending = last and text.endswith(".*")
    text, out, place = text[:-2] if ending else text, [], 0
    for found in TOKEN.finditer(text):
        out.append(re.escape(text[place : found.start()]))
        out.append("[^/]*?" if found[2] else word(found[1] or NAME))
        place = found.end()
    return "".join([*out, re.escape(text[place:]), r"\.[^./]+" * ending])
