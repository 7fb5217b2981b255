"""The arrays of a network for other programs, under the names that they expect."""

import numpy as np

from fcn_from_scratch.backend import to_numpy
from fcn_from_scratch.layers import BilinearUpsample
from fcn_from_scratch.ops import bilinear_kernel
from fcn_from_scratch.weights.identity import TRAINERS


def tensors(model):
    """name -> float32 array, in the order of the layers.

    The networks FCN32s, FCN16s, FCN8s and FCN8sAtOnce of pytorch-fcn have a weight for each upsampling layer, also
    where this project upsamples by a fixed kernel. For these networks the kernels are added, so that a strict
    load_state_dict accepts the file. All other names are this project's, and those of both agree.
    """
    found, whole = {}, model.name in TRAINERS.values()
    params = {name: float32(array) for name, array in model.params.items()}
    for name, layer in model.children.items():
        own = {key: array for key, array in params.items() if key.startswith(name + layer.separator)}
        if whole and isinstance(layer, BilinearUpsample):
            own = {f"{name}.weight": dense_kernel(layer, model.num_classes)}
        found |= own
    return found


def float32(array):
    """The array on the host, as little-endian float32 numbers. It is copied only if it has another dtype."""
    return np.asarray(to_numpy(array), "<f4")


def in_order(array):
    """The bytes of an array in the order of its indices, for writing. Only now a weight is copied, one at a time."""
    return np.ascontiguousarray(array).data


def kernel_of(layer):
    """The kernel (kh, kw) of a BilinearUpsample, whose sides may differ."""
    rows, columns = (np.sqrt(np.diag(bilinear_kernel(size))) for size in layer.kernel_size)
    return np.outer(rows, columns)


def dense_kernel(layer, channels):
    """The weight (C, C, kh, kw) of the transposed convolution that equals a BilinearUpsample: each class by itself."""
    return float32(np.eye(channels)[:, :, None, None] * kernel_of(layer))
