"""Networks with several heads: which scores go with which labels."""

from fcn_from_scratch.checks import InputError


def pairs(scores, labels):
    """A list of (scores, labels), one for each head, in the order of the dataset's `heads`.

    A network with one head is paired with the first of several labellings: on SIFT Flow it learns the semantic one.

    Shapes: scores (N, C, H, W), or a tuple of such, one for each head; labels (N, H, W) or (N, maps, H, W). A
    classifier's are (N, C) and (N,).
    Raises: InputError for a network of several heads whose pictures do not have as many label maps.
    """
    if not isinstance(scores, tuple):
        return [(scores, labels[:, 0] if labels.ndim == 4 else labels)]
    maps = labels.shape[1] if labels.ndim == 4 else 1
    if maps != len(scores):
        raise InputError(
            f"the network has {len(scores)} heads, the dataset {maps} label map{'s' * (maps > 1)} a picture: "
            "each head needs labels of its own"
        )
    return [(each, labels[:, head]) for head, each in enumerate(scores)]
