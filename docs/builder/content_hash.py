"""What a lesson's outputs depend on beside its cells. When it changes, the lessons run again."""

import hashlib
from importlib.metadata import version

from places import DOCS, PACKAGE, ROOT


def package_hash():
    """A hash of the package, its drawn sample data and the libraries that compute and draw."""
    files = [path for folder in (PACKAGE, ROOT / "data" / "sample") for path in sorted(folder.rglob("*"))]
    kept = [path for path in files if path.is_file() and path.suffix != ".pyc"]
    libraries = " ".join(version(name) for name in ("numpy", "matplotlib", "pillow"))
    return _hash(kept, libraries)


def builder_hash():
    """A hash of this folder and of what lesson pages show beside the lesson: the exercises and the glossary."""
    files = [*(DOCS / "builder").glob("*"), DOCS / "glossary.md", *(ROOT / "lessons/exercises").glob("*.py")]
    return _hash([path for path in sorted(files) if path.is_file()])


def _hash(files, text=""):
    digest = hashlib.sha256(text.encode())
    for path in files:
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]
