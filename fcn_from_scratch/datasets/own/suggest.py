"""What a user whose label values are not understood could type."""

from fcn_from_scratch.datasets.labels import IGNORE

MOST_PARTS = 40  # of a map that is printed


def share(count, total):
    """A part of the pixels in words: "12.5%"."""
    part = count / total
    return "under 0.1%" if part < 0.001 else f"{part:.1%}"


def pixels_of(count):
    """A number of pixels in words."""
    return f"{count} pixel{'s' if count != 1 else ''}"


def others(unknown, what):
    """How many more than the one that is named: " (and 2 more such values)"."""
    count = int(unknown.sum()) - 1
    return f" (and {count} more such {what}{'s' if count > 1 else ''})" if count else ""


def to_type(values, num_classes=None):
    """The option --label-map for values that are not 0..K-1.

    Soft masks become two classes; a few values are numbered in their order; 255 beside ids is left as ignore.
    """
    values = [int(value) for value in values]
    if len(values) > MOST_PARTS and min(values) >= 0:
        top = 255 if max(values) <= 255 else 65535 if max(values) <= 65535 else max(values)
        return f"--label-map 0-{top // 2}:0,{top // 2 + 1}-{top}:1"
    marks = [value for value in values if value == -1 or (value == IGNORE and _beside_ids(values))]
    plain = [value for value in values if value not in marks]
    if num_classes is not None and len(plain) != num_classes:
        parts = [f"{value}:{value if 0 <= value < num_classes else 'ignore'}" for value in plain]
    else:
        parts = [f"{value}:{place}" for place, value in enumerate(plain)]
    return "--label-map " + ",".join([*parts[:MOST_PARTS], *(f"{mark}:ignore" for mark in marks)])


def _beside_ids(values):
    """Whether 255 stands beside small ids, rather than being the lightest of a few shades of grey."""
    others = [value for value in values if value not in (-1, IGNORE)]
    return len(others) > 1 and max(others) < 100
