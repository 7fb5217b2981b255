"""A small FCN-8s and its twin in PyTorch's autograd: the same losses and the same weights after 50 steps.

The twin is written from the list of layers, its crops from centres worked out by hand. Cell i of a map has its
centre at `start + stride * i` in the image; a convolution padded by half its kernel keeps both, a 2x2 pool adds
half a stride to the start and doubles the stride, an upsampling (kernel k, stride s) divides the stride by s and
then takes (k - 1) / 2 new strides off the start:

pool1 0.5 / 2,  pool2 1.5 / 4,  pool3 3.5 / 8,  pool4 7.5 / 16,  pool5 and the scores 15.5 / 32
upscore2       15.5 - 16 * 1.5 = -8.5 / 16    pool4 starts (7.5 + 8.5) / 16 = 1 cell later
upscore_pool4  7.5 - 8 * 1.5   = -4.5 / 8     pool3 starts (3.5 + 4.5) / 8 = 1 cell later
upscore8       3.5 - 1 * 7.5   = -4 / 1       the image starts 4 pixels later
"""

import numpy as np
import pytest
from arrays import torch_module

from fcn_from_scratch import datasets, models
from fcn_from_scratch.training import SGD, Trainer

STEPS, LR = 50, 0.05
CROPS = 1, 1, 4


def start(seed=0):
    """The NumPy network, with score layers that are not zero."""
    model = models.build("mini_fcn8s", 6, width=4, dtype=np.float64, seed=seed)
    rng = np.random.default_rng(seed + 1)
    for name, w in model.params.items():
        if name.startswith("score"):
            w[...] = 0.1 * rng.standard_normal(w.shape)
    return model


def drawn_batches():
    """50 batches of two drawn scenes, 48x64, with ignored borders."""
    scenes = datasets.Shapes(2 * STEPS, (48, 64), seed=3)
    batches = [(x.astype(np.float64), y) for x, y, _ in datasets.epoch(scenes, 2, models.MINI_TRANSFORM)]
    assert len(batches) == STEPS
    assert all((y == 255).any() for _, y in batches)
    return batches


def triangle(torch, size):
    """The bilinear kernel of even size: 1/size, 3/size, ..., 3/size, 1/size along each axis."""
    line = torch.tensor([min(2 * i + 1, 2 * (size - i) - 1) / size for i in range(size)], dtype=torch.float64)
    return line[:, None] * line[None, :]


def upsample(torch, x, size):
    """A transposed convolution that treats each class by itself: kernel `size`, stride half of it, no padding."""
    channels = x.shape[1]
    kernel = triangle(torch, size).expand(channels, 1, size, size)
    return torch.nn.functional.conv_transpose2d(x, kernel, stride=size // 2, groups=channels)


def twin(torch, w, x, crops=CROPS):
    """The scores of the same network, from a dict of weights under the paper's names."""
    f = torch.nn.functional

    def conv(x, name, padding):
        return f.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=padding)

    def window(x, offset, like):
        return x[:, :, offset : offset + like.shape[2], offset : offset + like.shape[3]]

    pools, y = {}, x
    for stage in range(1, 6):
        y = f.max_pool2d(conv(y, f"conv{stage}_1", 1).relu(), 2, ceil_mode=True)
        pools[stage] = y
    y = conv(y, "fc6", 1).relu()
    y = conv(y, "fc7", 0).relu()
    y = conv(y, "score_fr", 0)
    for stage, crop in zip((4, 3), crops):
        skip = conv(pools[stage], f"score_pool{stage}", 0)
        y = window(upsample(torch, y, 4), crop, skip) + skip
    return window(upsample(torch, y, 16), crops[2], x)


def train_twin(torch, params, batches, crops=CROPS):
    """PyTorch's losses and final weights."""
    w = {name: torch.tensor(array, requires_grad=True) for name, array in params.items()}
    weights = [t for name, t in w.items() if name.endswith("weight")]
    biases = [t for name, t in w.items() if name.endswith("bias")]
    assert len(weights) == len(biases) == 10
    groups = [
        {"params": weights, "lr": LR, "weight_decay": 5e-4},
        {"params": biases, "lr": 2 * LR, "weight_decay": 0.0},
    ]
    optimizer, losses = torch.optim.SGD(groups, momentum=0.9), []
    for x, labels in batches:
        optimizer.zero_grad()
        scores = twin(torch, w, torch.tensor(np.ascontiguousarray(x)), crops)
        loss = torch.nn.functional.cross_entropy(scores, torch.tensor(labels), ignore_index=255)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, {name: t.detach().numpy() for name, t in w.items()}


@pytest.mark.torch
class TestTwin:
    def test_the_same_training(self, given):
        torch, batches = torch_module(), drawn_batches()
        model = start()
        before = {name: array.copy() for name, array in model.params.items()}
        losses, theirs = train_twin(torch, before, batches)
        run = Trainer(model, SGD(model, LR, 0.9, 5e-4), given(batches)).run(STEPS, progress=False)

        assert np.mean(losses[-10:]) < 0.8 * losses[0], "it learns"
        np.testing.assert_allclose(run.losses, losses, rtol=1e-10)
        assert theirs.keys() == model.params.keys()
        for name, w in model.params.items():
            assert np.linalg.norm(w - before[name]) > 1e-3 * np.linalg.norm(w), f"{name} has moved"
            assert np.linalg.norm(w - theirs[name]) <= 1e-10 * np.linalg.norm(theirs[name]), name

    @pytest.mark.parametrize("crops", [(0, 1, 4), (1, 0, 4), (1, 1, 3)])
    def test_it_would_notice_a_crop_that_is_one_off(self, given, crops):
        torch, batches = torch_module(), drawn_batches()[:5]
        model = start()
        losses, _ = train_twin(torch, {name: array.copy() for name, array in model.params.items()}, batches, crops)
        run = Trainer(model, SGD(model, LR, 0.9, 5e-4), given(batches)).run(5, progress=False)
        assert np.abs(np.subtract(run.losses, losses)).max() > 1e-5

    @pytest.mark.parametrize("size", [(48, 64), (33, 70), (1, 1), (32, 95)])
    def test_scores_of_any_size(self, size, rng):
        torch, model = torch_module(), start()
        x = rng.standard_normal((2, 3, *size))
        w = {name: torch.tensor(array) for name, array in model.params.items()}
        expected = twin(torch, w, torch.tensor(x)).numpy()
        assert expected.shape == (2, 6, *size)
        assert np.abs(expected).max() > 0.01
        np.testing.assert_allclose(model(x), expected, rtol=0, atol=1e-12)
