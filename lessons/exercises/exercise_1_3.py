"""Exercise 1.3, prove: the IU of a class is never above its accuracy.

For one class let `right` be the number of pixels that are right, `of_truth` the pixels of
the class in the truth, and `of_prediction` those in the prediction. Show that

    accuracy - IU  =  right / of_truth  -  right / (of_truth + of_prediction - right)

is never negative. Bring it to one fraction whose denominator is `of_truth * (of_truth +
of_prediction - right)`. Write `accuracy_minus_iu(right, of_truth, of_prediction)`, which
returns the pair (numerator, denominator) of this fraction, two integers, not reduced. The
numerator should be a product of two factors that cannot be negative.

    accuracy_minus_iu(2, 3, 3) -> (2, 12)        # 2/3 - 2/4 = 2/12

When are accuracy and IU equal? Why does it follow that frequency weighted IU is never above
pixel accuracy?
"""


def accuracy_minus_iu(right, of_truth, of_prediction):
    """Accuracy minus IU as (numerator, denominator)."""
    # BEGIN SOLUTION
    # right * union - right * of_truth = right * (of_prediction - right). The
    # right pixels are among the predicted ones, so no factor is negative. The product is
    # zero if nothing is right, or if right == of_prediction: there is no false positive.
    # Only then are accuracy and IU equal. Multiply IU <= accuracy by of_truth and add over
    # the classes: sum of of_truth * IU <= sum of right. Divided by the number of all
    # pixels, the left side is frequency weighted IU and the right side is pixel accuracy.
    union = of_truth + of_prediction - right
    return right * (of_prediction - right), of_truth * union
    # END SOLUTION


# --- check

from fractions import Fraction


def cases(rng):
    drawn = []
    for _ in range(6):
        right = int(rng.integers(1, 9))
        drawn.append(
            (right, right + int(rng.integers(0, 9)), right + int(rng.integers(1, 9)))
        )
    return [(2, 3, 3), (4, 4, 5), (2, 3, 2), (0, 2, 5), *drawn]


def expected(right, of_truth, of_prediction):
    denominator = of_truth * (of_truth + of_prediction - right)
    difference = Fraction(right, of_truth) - Fraction(
        right, of_truth + of_prediction - right
    )
    return int(difference * denominator), denominator


def _missed(right, of_truth, of_prediction):
    return right * (of_truth - right), expected(right, of_truth, of_prediction)[1]


def _reduced(right, of_truth, of_prediction):
    fraction = Fraction(*expected(right, of_truth, of_prediction))
    return fraction.numerator, fraction.denominator


def _negative(right, of_truth, of_prediction):
    numerator, denominator = expected(right, of_truth, of_prediction)
    return -numerator, denominator


MISTAKES = {
    "of_truth - right counts the missed pixels. They lower accuracy and IU alike; the difference comes from the false "
    "positives": _missed,
    "the fraction is right, but it is reduced. Keep the denominator of_truth * (of_truth + of_prediction - right)": (
        _reduced
    ),
    "this is IU minus accuracy; the sign is the other one": _negative,
}
