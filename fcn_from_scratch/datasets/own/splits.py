"""The names of splits: a folder or a list has one of several usual names."""

ALIASES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
CANONICAL = {alias: name for name, aliases in ALIASES.items() for alias in aliases}


def canonical(split):
    """train, val or test for any of their usual names; every other name is its own."""
    return CANONICAL.get(split.casefold(), split)


def aliases(split):
    """The usual names of a split, its own first."""
    others = ALIASES.get(canonical(split), ())
    return (split, *(name for name in others if name != split))
