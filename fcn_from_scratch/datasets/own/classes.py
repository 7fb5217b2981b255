"""--classes: a file, names with commas between them, or the name of a public data set."""

from pathlib import Path

from fcn_from_scratch.checks import InputError, printable
from fcn_from_scratch.datasets.lists import nfc
from fcn_from_scratch.datasets.own.class_files import read_class_file
from fcn_from_scratch.datasets.own.class_list import Classes, checked
from fcn_from_scratch.datasets.own.known_classes import KNOWN

# Class files of annotation tools that are found without being named.
KNOWN_FILES = (
    *("classes.txt", "classes.csv", "classes.json", "class_names.txt", "labels.txt", "labelmap.txt"),
    *("label_colors.txt", "class_dict.csv", "class_dict_seg.csv", "_classes.csv", "objectInfo150.txt"),
)


def read_classes(text_or_path, root=None):
    """Read the user's classes.

    text_or_path  a file, which is looked for in `root` and then in the working folder; names with commas between them;
                  or one of voc, camvid, cityscapes, ade20k
    Returns: Classes.
    Raises: InputError for a file that is missing or has none of the known forms, and for names or values twice.
    """
    text = str(text_or_path).strip()
    if text.casefold() in KNOWN:
        return KNOWN[text.casefold()]()
    for folder in ([] if root is None else [Path(root)]) + [Path()]:
        if len(text) < 1024 and (folder / text).exists() and not (folder / text).is_dir():
            return read_class_file(folder / text)
    if "," in text:
        names = [nfc(name.strip()) for name in text.split(",")]
        if not all(names):
            raise InputError(f"--classes has an empty name: {printable(text[:80])}")
        return checked(Classes(tuple(names)))
    place = f" in {root} or here" if root is not None else ""
    raise InputError(
        f"there is no class file {printable(text[:80])}{place}; --classes takes a file, names with commas between "
        f"them, or {', '.join(KNOWN)}"
    )


def find_class_file(folders):
    """The path of the class file in the first of these folders that has one of KNOWN_FILES; None where none has.

    Raises: InputError for two of them in one folder whose classes differ.
    """
    for folder in map(Path, folders):
        found = [folder / name for name in KNOWN_FILES if (folder / name).exists()]
        for other in found[1:]:
            if read_class_file(other).names != read_class_file(found[0]).names:
                raise InputError(f"{found[0]} and {other.name} name different classes: say which one, by --classes")
        if found:
            return found[0]
    return None
