"""Exercise 14.1, trace: the parameters that early and late fusion add.

FCN-32s has thirteen 3x3 convolutions with w, w, 2w, 2w, 4w (three times), 8w (three times)
and again 8w (three times) channels, `fc6` with 64w kernels of 7x7, `fc7` with 64w kernels
of 1x1, and the score layer `score_fr`. Each layer has a bias. In the paper w is 64. The
upsampling is fixed and has no parameters.

Write `count_parameters(w, num_classes)`. It returns three numbers: the parameters of
FCN-32s, those of early fusion (depth is a fourth input channel), and those of late fusion
(a network for three channels of colour and one for three channels of HHA; the scores are
averaged).

    count_parameters(64, 40) -> (134424424, 134425000, 268848848)
"""


def count_parameters(w, num_classes):
    """The parameters of FCN-32s, of early fusion and of late fusion."""
    # BEGIN SOLUTION
    channels = [w] * 2 + [2 * w] * 2 + [4 * w] * 3 + [8 * w] * 6
    total, before = 0, 3
    for after in channels:
        total += 9 * before * after + after
        before = after
    fc = 64 * w
    total += 49 * before * fc + fc  # fc6
    total += fc * fc + fc  # fc7
    total += fc * num_classes + num_classes  # score_fr
    # Early fusion: only conv1_1 sees the picture, and each of its w kernels gets one more
    # 3x3 slice.
    return total, total + 9 * w, 2 * total
    # END SOLUTION


# --- check

from fcn_from_scratch import models


def cases(rng):
    return [(2, 5), (4, 40), (3, 21)]


def expected(w, num_classes):
    def count(name, **options):
        net = models.build(name, num_classes, width=w, seed=None, **options)
        return sum(array.size for array in net.params.values())

    return count("fcn32s"), count("fcn32s", in_channels=4), count("fcn32s_late_fusion")


def _no_bias(w, num_classes):
    biases = 2 * (w + 2 * w) + 3 * 4 * w + 6 * 8 * w + 2 * 64 * w + num_classes
    one, early, late = expected(w, num_classes)
    return one - biases, early - biases, late - 2 * biases


def _one_weight_a_kernel(w, num_classes):
    one, _, late = expected(w, num_classes)
    return one, one + w, late


def _one_score_layer(w, num_classes):
    one, early, late = expected(w, num_classes)
    return one, early, late - 64 * w * num_classes - num_classes


MISTAKES = {
    "every layer has a bias, one number for each of its output channels": _no_bias,
    "the fourth channel adds a 3x3 slice to every kernel of conv1_1, not a single number": _one_weight_a_kernel,
    "late fusion averages scores, so each of the two networks has a score layer": _one_score_layer,
}
