"""For networks with several heads: pair the scores of each head with its labels."""

from fcn_from_scratch.checks import InputError


def pair_heads(scores, labels):
    """A list of (scores, labels), one for each head, in the order of the dataset's `heads`.

    A network with one head gets the first label map of each picture: on SIFT Flow it learns the semantic classes.

    Shapes: scores (N, C, H, W), or a tuple of these, one for each head; labels (N, H, W) or (N, maps, H, W). For a
    classifier scores are (N, C) and labels (N,).
    Raises: InputError if a network with several heads gets another number of label maps.
    """
    if not isinstance(scores, tuple):
        return [(scores, labels[:, 0] if labels.ndim == 4 else labels)]
    maps = labels.shape[1] if labels.ndim == 4 else 1
    if maps != len(scores):
        raise InputError(
            f"the network has {len(scores)} heads, the dataset {maps} label map{'s' * (maps > 1)} a picture: "
            "each head needs its own labels"
        )
    return [(each, labels[:, head]) for head, each in enumerate(scores)]
