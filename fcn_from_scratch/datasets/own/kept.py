"""What was found out about files, kept beside them for the next time: reading thousands of label files takes minutes.

A fact about a file is used again as long as the file's size and time are the same. Where the folder cannot be written
to, nothing is kept.
"""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.files import read_bytes, write_atomically

FILE = ".fcn_scan.json"
FORMAT = 1
MOST = 64 << 20  # bytes of the file
WORTH = 0.5  # seconds: what is found out faster is not kept


class Kept:
    """Facts about the files below a root, which are kept at the end of a `with`, whatever happens in it.

    files  dict, place of a file below the root -> {"size", "time", "facts": {name: value for JSON}}
    """

    def __init__(self, root):
        self.root, self._seconds = Path(root), 0.0
        self.files = _read(self.root / FILE)

    def fact(self, name, path, compute, sound=lambda value: True):
        """compute(path), a value for JSON, or the kept one. Another name is another fact about the same file.

        sound  whether a kept value can be one: somebody may have edited the file
        """
        about, place = _about(path), _place(path, self.root)
        known = self.files.get(place)
        if not _is_about(known, about):
            known = self.files[place] = about | {"facts": {}}
        facts = known["facts"]
        if name not in facts or not sound(facts[name]):
            start = time.perf_counter()
            facts[name] = compute(path)
            self._seconds += time.perf_counter() - start
        return facts[name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.save()

    def save(self):
        """Keep what was found out since, if that took a while."""
        if self._seconds < WORTH:
            return
        text = json.dumps({"format": FORMAT, "files": self.files}, separators=(",", ":"))
        with suppress(OSError):
            write_atomically(self.root / FILE, lambda file: file.write(text.encode()))
        self._seconds = 0.0


def _about(path):
    """The size and the time of a file; of a missing one, nothing that was ever kept."""
    try:
        found = os.stat(path)
    except OSError:
        return {"size": -1, "time": 0}
    return {"size": found.st_size, "time": found.st_mtime_ns}


def _is_about(known, about):
    """Whether kept facts are those of a file of this size and time."""
    if not isinstance(known, dict) or not isinstance(known.get("facts"), dict):
        return False
    return all(known.get(key) == value for key, value in about.items())


def _place(path, root):
    path = str(path)
    return path[len(str(root)) + 1 :] if path.startswith(f"{root}{os.sep}") else path


def _read(path):
    """The kept facts; none where the file is missing, damaged or of another format."""
    try:
        content = json.loads(read_bytes(path, MOST))
    except (OSError, ValueError, RecursionError, InputError):
        return {}
    files = content.get("files") if isinstance(content, dict) and content.get("format") == FORMAT else None
    return files if isinstance(files, dict) else {}
