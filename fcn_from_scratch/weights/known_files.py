"""Weights that others have published. Each file is known by its md5."""

import hashlib
from typing import NamedTuple

from fcn_from_scratch.files import open_regular
from fcn_from_scratch.weights.trust import CHUNK


class Published(NamedTuple):
    name: str
    model: str | None  # the model of this project that has the same parameters; None for VGG16 itself
    preprocessing: str


_NAMES = {
    "fcn32s": "FCN-32s",
    "fcn16s": "FCN-16s",
    "fcn8s": "FCN-8s",
    "fcn8s_atonce": "FCN-8s at-once",
    None: "VGG16 from Caffe",
}
_MD5S = {
    "pytorch-fcn's .pth": {
        "d3eb467a80e7da0468a20dfcbc13e6c8": "fcn32s",
        "a2d4035f669f09483b39c9a14a0d6670": "fcn16s",
        "de93e540ec79512f8770033849c8ae89": "fcn8s",
        "bfed4437e941fef58932891217fe6464": "fcn8s_atonce",
        "aa75b158f4181e7f6230029eb96c1b13": None,
    },
    "the Chainer fcn's .npz": {
        "b7f0a2e66229ccdb099c0a60b432e8cf": "fcn32s",
        "7c9b50a1a8c6c20d3855d4823bbea61e": "fcn16s",
        "256c2a8235c1c65e62e48d3284fbd384": "fcn8s",
        "5f3ffdc7fae1066606e1ef45cfda548f": "fcn8s_atonce",
        "54a0cddc1392ccc4056bbeecbb30f3d4": None,
    },
}
PUBLISHED = {
    md5: Published(f"{_NAMES[model]} ({origin})", model, "caffe")
    for origin, table in _MD5S.items()
    for md5, model in table.items()
}


def md5_of(path):
    """The md5 of a file, as text. It tells published files apart; it does not protect against anything."""
    digest = hashlib.md5(usedforsecurity=False)
    with open_regular(path) as file:
        while part := file.read(CHUNK):
            digest.update(part)
    return digest.hexdigest()


def published(path):
    """The file's entry in PUBLISHED, or None."""
    return PUBLISHED.get(md5_of(path))
