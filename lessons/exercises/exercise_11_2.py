"""Exercise 11.2, change: a score layer that does not start at zero.

Give `score_fr` small random weights in place of zeros. Then the first loss is no longer ln
C, and the trunk gets a gradient at the first step. Compute both for P pixels with F
features each.

Write `first_step(features, weight, labels)`. features has the shape (P, F) and weight (C,
F); the bias is zero. labels has the shape (P,), and 255 marks void pixels, which do not
count. At least one pixel counts. Return the mean loss and its gradient with respect to the
features, with the shape (P, F).

    first_step(features, zeros, labels) -> ln C, and a gradient of zeros
"""

import numpy as np


def first_step(features, weight, labels):
    """The mean loss over the pixels that count, and the gradient of the features."""
    # BEGIN SOLUTION
    # The loss of a pixel is log(sum of exp(s)) - s[label]. The logarithm
    # lies between min(s) + ln C and max(s) + ln C, so the loss is never further from ln C
    # than max(s) - min(s): small weights give a loss near ln C. The gradient of the
    # features is proportional to the weight while the scores are small. With zeros it is
    # zero.
    scores = features @ weight.T
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    dscores = exponentials / exponentials.sum(axis=1, keepdims=True)  # softmax
    counted = np.flatnonzero(labels != 255)
    loss = -np.log(dscores[counted, labels[counted]]).mean()
    dscores[counted, labels[counted]] -= 1
    dscores[labels == 255] = 0
    return loss, dscores @ weight / len(counted)
    # END SOLUTION


# --- check

import math

TOLERANCE = 1e-9


def cases(rng):
    made = []
    for pixels, channels, classes, scale in (
        (5, 3, 4, 0.1),
        (7, 2, 6, 1.0),
        (1, 4, 2, 2.0),
        (4, 3, 5, 0.0),
    ):
        labels = rng.integers(0, classes, pixels)
        labels[1 : pixels // 2] = 255
        made.append(
            (
                rng.normal(size=(pixels, channels)),
                scale * rng.normal(size=(classes, channels)),
                labels,
            )
        )
    return made


def expected(features, weight, labels):
    """The loss in loops. Its gradient comes from the derivative of each pixel's loss along each feature."""
    count = sum(int(label) != 255 for label in labels)
    loss, gradient = 0.0, np.zeros_like(features)
    for p, label in enumerate(labels):
        if label == 255:
            continue
        scores = [math.fsum(f * w for f, w in zip(features[p], row)) for row in weight]
        total = math.fsum(map(math.exp, scores))
        loss += (math.log(total) - scores[label]) / count
        for f in range(features.shape[1]):
            mean = math.fsum(math.exp(s) / total * row[f] for s, row in zip(scores, weight))
            gradient[p, f] = (mean - weight[label, f]) / count
    return loss, gradient


def _all_pixels(features, weight, labels):
    loss, gradient = expected(features, weight, labels)
    share = (labels != 255).mean()
    return loss * share, gradient * share


def _no_target(features, weight, labels):
    loss, gradient = expected(features, weight, labels)
    counted = labels != 255
    gradient[counted] += weight[labels[counted]] / counted.sum()
    return loss, gradient


def _no_mean(features, weight, labels):
    loss, gradient = expected(features, weight, labels)
    return loss, gradient * (labels != 255).sum()


MISTAKES = {
    "void pixels do not count: divide by the number of the other pixels": _all_pixels,
    "the gradient of the scores is the softmax minus 1 at the pixel's own class": _no_target,
    "the loss is a mean, so the gradient is divided by the number of pixels too": _no_mean,
}
