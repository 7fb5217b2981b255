"""The lesson-size networks against the same networks written with torch.nn.functional."""

import numpy as np
import pytest
from arrays import close, torch_module

from fcn_from_scratch.models import build

pytestmark = pytest.mark.torch

# Cell 0 of pool i lies at image coordinate 2**i / 2 + 0.5 - pad, cells 2**i apart. A transposed convolution of
# kernel k that makes the stride s moves it by -s * (k - 1) / 2.
#
# pad 1, fc6 padded:  pool2..pool5 and score_fr at 1.5, 3.5, 7.5, 15.5, 15.5
#   upscore2        15.5 - 16 * 1.5 = -8.5: one cell of 16 before pool4, so the scores lose their first cell
#   upscore_pool4   7.5 - 8 * 1.5 = -4.5: one cell of 8 before pool3; then -2.5, one cell of 4 before pool2
#   to the image    32s: 15.5 - 31.5 = -16;  16s: 7.5 - 15.5 = -8;  8s: 3.5 - 7.5 = -4;  4s: 1.5 - 3.5 = -2
LESSON = {"mini_fcn32s": [16], "mini_fcn16s": [-1, 8], "mini_fcn8s": [-1, -1, 4], "mini_fcn4s": [-1, -1, -1, 2]}
# pad 70, fc6 of 5 cells without padding: pool2..pool5 at -67.5, -65.5, -61.5, -53.5; score_fr at -53.5 + 2 * 32 = 10.5
#   upscore2        10.5 - 24 = -13.5: three cells of 16 inside pool4, which loses its first three
#   upscore_pool4   -13.5 - 12 = -25.5: five cells of 8 inside pool3; then -31.5: nine cells of 4 inside pool2
#   to the image    32s: 10.5 - 31.5 = -21;  16s: -13.5 - 15.5 = -29;  8s: -25.5 - 7.5 = -33;  4s: -31.5 - 3.5 = -35
FRAME = {"mini_fcn32s": [21], "mini_fcn16s": [3, 29], "mini_fcn8s": [3, 5, 33], "mini_fcn4s": [3, 5, 9, 35]}
IN_A_FRAME = {"pad": 70, "fc6_kernel": 5, "fc6_padding": 0}


def upsample(torch, scores, stride):
    classes, size = scores.shape[1], 2 * stride
    ramp = 1 - (torch.arange(size, dtype=scores.dtype) - (size - 1) / 2).abs() / stride
    weight = torch.zeros(classes, classes, size, size, dtype=scores.dtype)
    for c in range(classes):
        weight[c, c] = torch.outer(ramp, ramp)
    return torch.nn.functional.conv_transpose2d(scores, weight, stride=stride)


def twin(torch, p, x, crops, scales=(1.0, 1.0, 1.0), pad=1, fc6_kernel=3, fc6_padding=1):
    """The network from its parameters p; `crops` as in the tables above: negative ones cut the coarse scores."""
    f = torch.nn.functional

    def conv(h, name, padding=0):
        return f.conv2d(h, p[f"{name}.weight"], p[f"{name}.bias"], padding=padding)

    h, pools = x, []
    for stage in range(1, 6):
        h = f.relu(conv(h, f"conv{stage}_1", pad if stage == 1 else 1))
        h = f.max_pool2d(h, 2, ceil_mode=True)
        pools.append(h)
    h = f.relu(conv(h, "fc6", fc6_padding))
    scores = conv(f.relu(conv(h, "fc7")), "score_fr")
    *skips, last = crops
    for number, crop in enumerate(skips):
        scores = upsample(torch, scores, 2)
        fine = conv(scales[number] * pools[3 - number], f"score_pool{4 - number}")
        if crop < 0:
            scores = scores[:, :, -crop:, -crop:][:, :, : fine.shape[2], : fine.shape[3]]
        else:
            fine = fine[:, :, crop:, crop:][:, :, : scores.shape[2], : scores.shape[3]]
        scores = scores + fine
    scores = upsample(torch, scores, 32 >> len(skips))
    return scores[:, :, last : last + x.shape[2], last : last + x.shape[3]]


CASES = [
    *((name, crops, {}, {}) for name, crops in LESSON.items()),
    *((name, crops, IN_A_FRAME, {}) for name, crops in FRAME.items()),
    ("mini_fcn8s_atonce", LESSON["mini_fcn8s"], {}, {"scales": (0.01, 0.0001)}),
    ("mini_fcn8s_atonce", FRAME["mini_fcn8s"], IN_A_FRAME, {"scales": (0.01, 0.0001)}),
]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-4)])
@pytest.mark.parametrize(("name", "crops", "options", "extra"), CASES)
def test_scores_and_gradients_are_pytorchs(name, crops, options, extra, dtype, tolerance, rng):
    torch = torch_module()
    net = build(name, 4, width=4, dtype=dtype, **options)
    for key, array in net.params.items():
        if key.startswith("score") or key.endswith("bias"):
            array[...] = rng.normal(size=array.shape)
    x = rng.normal(size=(2, 3, 45, 70)).astype(dtype)
    dscores = rng.normal(size=(2, 4, 45, 70)).astype(dtype)

    p = {key: torch.tensor(array, requires_grad=True) for key, array in net.state_dict().items()}
    image = torch.tensor(x, requires_grad=True)
    expected = twin(torch, p, image, crops, **extra, **options)
    expected.backward(torch.tensor(dscores))

    close(net(x), expected.detach().numpy(), tolerance)
    close(net.backward(dscores), image.grad.numpy(), tolerance)
    for key, gradient in net.grads.items():
        expected = p[key].grad.numpy()
        assert np.abs(expected).max() > 0
        close(gradient / np.abs(expected).max(), expected / np.abs(expected).max(), tolerance)
