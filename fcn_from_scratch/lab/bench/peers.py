"""The peers: the packages that this project is compared with, and why one of them cannot take part."""

import importlib.util
from typing import NamedTuple

INSTALL = "pip install 'fcn_from_scratch[bench]'"


class Peer(NamedTuple):
    """A package that computes the same network. Its key in PEERS is the name of its module.

    title   its name in words
    rivals  device -> its rivals there, keys of rivals.RIVALS
    trains  whether it can do a training step
    """

    title: str
    rivals: dict
    trains: bool


PEERS = {
    "torch": Peer("PyTorch", {"cpu": ("torch", "torch_cl"), "cuda": ("torch_cuda", "torch_cuda_cl")}, True),
    "onnxruntime": Peer("ONNX Runtime", {"cpu": ("onnxruntime",)}, False),
    "openvino": Peer("OpenVINO", {"cpu": ("openvino",)}, False),
}
NONE = "none"


def installed(name):
    """Whether the peer's package can be found."""
    return importlib.util.find_spec(name) is not None


def hindrance(name, device, train):
    """Why an installed peer cannot do a work, or None."""
    peer = PEERS[name]
    if device not in peer.rivals:
        return "it takes part on the CPU only; on a GPU the peer is PyTorch"
    if train and not peer.trains:
        return "it has no training step: it computes scores only"
    return None
