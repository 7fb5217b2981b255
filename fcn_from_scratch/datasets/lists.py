"""Lists of names as people write them: in any Unicode encoding, with or without folders and file endings.

A name can be spelled in two ways that look the same: "é" is one character, or an "e" with an accent behind it. macOS
and Linux often differ in this. So names are compared in Unicode's normal form C (NFC).
"""

import codecs
import re
import unicodedata
from collections import Counter
from pathlib import PureWindowsPath

from fcn_from_scratch import checks
from fcn_from_scratch.files import read_bytes

PICTURES = (".jpg", ".jpeg", ".png", ".mat")  # endings that names in the lists of the published datasets may have
MOST_LIST = 16 << 20  # bytes of a list of names: some million names

# The mark at the beginning of a text decides on its encoding. That of UTF-32 begins with that of UTF-16.
ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_list(path):
    """The lines of a list file, stripped and in NFC; empty ones are skipped.

    The text is UTF-8, or another encoding of Unicode that its byte order mark names: PowerShell's `>` writes UTF-16.
    Raises: InputError when the file is missing, is no regular file, is not text or lists nothing.
    """
    try:
        data = read_bytes(path, MOST_LIST)
        encoding = next((name for mark, name in ENCODINGS.items() if data.startswith(mark)), "utf-8")
        text = data.decode(encoding)
    except FileNotFoundError:
        raise checks.InputError(f"there is no list {path}") from None
    except UnicodeDecodeError as error:
        raise checks.InputError(f"{path} cannot be read as a list: {error}. Save it as UTF-8") from None
    except OSError as error:
        raise checks.InputError(f"{path} cannot be read as a list: {error}") from None
    if "\0" in text:
        raise checks.InputError(f"{path} cannot be read as a list: it holds null characters. Save it as UTF-8")
    lines = [line for line in map(str.strip, re.split(r"[\r\n]+", nfc(text))) if line]
    if not lines:
        raise checks.InputError(f"{path} lists nothing")
    return lines


def read_names(path, endings=PICTURES):
    """The names in a list of pictures, without their folders, without these file endings, and in this order.

    Only the first word of a line counts. Others name the labels (img/X.jpg cls/X.mat) or tell a class (X -1).
    See read_list.
    """
    return [bare_name(line.split()[0], endings) for line in read_list(path)]


def bare_name(name, endings=PICTURES):
    r"""A name without its folders and its ending: images\a.b.JPG -> a.b. Other endings are a part of the name."""
    path = PureWindowsPath(name)  # splits at / and at \
    return path.stem if path.suffix.lower() in endings else path.name


def nfc(text):
    """A text in Unicode's normal form C."""
    return unicodedata.normalize("NFC", text)


def on_disk(pairs):
    """The pairs (name, path, path, ...) with each path as the disk spells it.

    A path that is missing becomes the one beside it with the same name in NFC, if there is one, or else the only one
    that differs just in the case of its letters: X.JPG for X.jpg.
    """
    folders = {}

    def find(path):
        if path.exists():
            return path
        if path.parent not in folders:
            folders[path.parent] = _spellings(path.parent)
        exact, folded = folders[path.parent]
        return exact.get(nfc(path.name)) or folded.get(nfc(path.name).casefold()) or path

    return [(name, *map(find, paths)) for name, *paths in pairs]


def _spellings(folder):
    """(files by their names in NFC, files by their names without case where only one has that) of a folder."""
    there = list(folder.iterdir()) if folder.is_dir() else ()
    counts = Counter(nfc(each.name).casefold() for each in there)
    folded = {nfc(each.name).casefold(): each for each in there}
    return {nfc(each.name): each for each in there}, {name: folded[name] for name in counts if counts[name] == 1}
