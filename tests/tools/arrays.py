"""Helpers of the tests: comparison, memory layouts, PyTorch's answer and its gradients."""

import re
import warnings

import numpy as np
import pytest

from fcn_from_scratch.backend import to_numpy


def close(actual, expected, tolerance=1e-10):
    """Same shape, NaN in the same places, off by at most `tolerance` of the largest expected value or 1."""
    actual, expected = to_numpy(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected), "NaN in different places")
    finite = np.abs(expected[np.isfinite(expected)])
    largest = max(1.0, finite.max()) if finite.size else 1.0
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * largest)


def shapes_of(net):
    """name -> shape of every parameter."""
    return {name: array.shape for name, array in net.params.items()}


# --- memory layouts -----------------------------------------------------------------------------------------


def _transposed(x):
    return np.ascontiguousarray(x.T).T


def _sliced(x):
    wide = np.full([2 * n + 1 for n in x.shape], 1e6, x.dtype)
    part = wide[tuple(slice(1, None, 2) for _ in x.shape)]
    part[...] = x
    return part


def _reversed(x):
    backwards = (slice(None, None, -1),) * x.ndim
    return np.ascontiguousarray(x[backwards])[backwards]


def _channels_last(x):
    if x.ndim < 3:
        return x
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


LAYOUTS = {
    "transposed": _transposed,
    "sliced": _sliced,
    "reversed": _reversed,
    "channels_last": _channels_last,
}


# --- the GPU ------------------------------------------------------------------------------------------------


def _cuda_device():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a driver or a toolkit that is missing: no GPU, and no error
        try:
            import cupy
        except ImportError:
            return False
        return cupy.cuda.is_available()


NEEDS_GPU = [pytest.mark.gpu, pytest.mark.skipif(not _cuda_device(), reason="needs CuPy and a CUDA device")]


# --- PyTorch ------------------------------------------------------------------------------------------------


def torch_module():
    return pytest.importorskip("torch", reason="PyTorch is an optional extra")


def torch_gradients(function, inputs, dy):
    """PyTorch's y = function(*inputs) and, for the upstream gradient dy, a list of the inputs' gradients."""
    torch = torch_module()
    tensors = [torch.tensor(np.array(x, order="C"), requires_grad=True) for x in inputs]
    y = function(*tensors)
    y.backward(torch.tensor(np.array(dy, order="C")))
    return y.detach().numpy(), [tensor.grad.numpy() for tensor in tensors]


TORCH_TOLERANCES = [("float64", 1e-10), ("float32", 2e-5)]


# --- errors -------------------------------------------------------------------------------------------------


def refuses(*fragments):
    """Expects a ValueError whose text contains the fragments in this order."""
    return pytest.raises(ValueError, match="(?s)" + ".*".join(map(re.escape, fragments)))
