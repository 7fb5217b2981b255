"""What all segmentation networks share: a trunk that gets the head's gradients, or that is frozen."""

import numpy as np

from fcn_from_scratch.layers import BilinearUpsample, Container
from fcn_from_scratch.ops import bilinear_kernel


class Segmenter(Container):
    """A trunk, and a head that turns the trunk's maps into scores at the image's size.

    Subclasses write forward(x) and `_backward_heads(dscores)`. The latter returns the gradient for the trunk's top and
    a dict of the gradients for its tapped maps.
    """

    def __init__(self, trunk, head, name=None):
        """The children of this network are the trunk's layers and those of `head`, a dict name -> layer."""
        super().__init__({**trunk.children, **head}, name)
        self.trunk = trunk
        self.trunk_frozen = False

    def backward(self, dscores):
        """Add to `grads`, given the upstream gradient (N, num_classes, H, W).

        Returns: the image's gradient, or None when the trunk is frozen.
        """
        dtop, dmaps = self._backward_heads(dscores)
        return None if self.trunk_frozen else self.trunk.backward(dtop, dmaps)

    def backward_params(self, dscores):
        dtop, dmaps = self._backward_heads(dscores)
        if not self.trunk_frozen:
            self.trunk.backward_params(dtop, dmaps)

    def freeze_trunk(self, frozen=True):
        """Let only the head learn, as in the paper's FCN-32s-fixed. The trunk then runs in eval mode.

        Returns: the model.
        """
        self.trunk_frozen = frozen
        return self.train(self.training)

    def frozen_params(self):
        """The names of the parameters that must stay as they are."""
        return set(self.trunk.params) if self.trunk_frozen else set()

    def train(self, mode=True):
        super().train(mode)
        if self.trunk_frozen:
            self.trunk.train(False)
        return self

    def load_state_dict(self, state, strict=True):
        """Like Layer.load_state_dict, but `state` may also hold the kernels of the fixed upsampling layers.

        The paper's public files hold them. They are compared with the bilinear kernel and left out.
        Raises: ValueError also when such a kernel is not bilinear. It was learned, and is not silently dropped.
        """
        fixed = {f"{n}.weight": c for n, c in self.children.items() if isinstance(c, BilinearUpsample)}
        for key in fixed.keys() & state.keys():
            _check_bilinear(key, state[key], fixed[key].kernel_size[0])
        super().load_state_dict({key: value for key, value in state.items() if key not in fixed}, strict)


def _check_bilinear(key, weight, kernel_size):
    """Check that the weight of a fixed upsampling layer is the bilinear kernel on its diagonal.

    It is (C, C, k, k), or (C, C/groups, k, k) of a transposed convolution with groups: often (C, 1, k, k).
    """
    weight = np.asarray(weight)
    channels, block = weight.shape[:2] if weight.ndim == 4 else (0, 1)
    is_right = channels > 0 < block and channels % block == 0 and weight.shape[2:] == (kernel_size, kernel_size)
    if is_right:
        diagonal = np.tile(np.eye(block), (channels // block, 1))[:, :, None, None]
        is_right = np.allclose(weight, diagonal * bilinear_kernel(kernel_size), atol=1e-6)
    if not is_right:
        raise ValueError(
            f"{key} is not the bilinear kernel of size {kernel_size} this model upsamples with (its shape is "
            f"{weight.shape}): it was learned. Build the model with upsampling='learned' or 'all_learned'"
        )
