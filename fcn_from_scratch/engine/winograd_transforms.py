"""Winograd's transforms for F(4, 3): four outputs of a filter of three taps from six multiplications, not twelve.

Where the matrices come from
----------------------------
A product of two polynomials is a convolution of their coefficients. It can be computed in another way: evaluate both
factors at enough points, multiply the values, and interpolate. g has 3 coefficients and h has 4, so their product c has
6. That takes six points p_0 ... p_5 and six multiplications. "Infinity" may be one of the points: a polynomial's value
there is its leading coefficient. Let E_k be the (6, k) matrix that evaluates k coefficients at the points. Its row i is
(1, p_i, p_i^2, ...), and for infinity (0, ..., 0, 1). Then

    E_6 c = (E_3 g) * (E_4 h),   so   c = E_6^-1 ((E_3 g) * (E_4 h))

That makes 6 numbers out of 3 and 4. A layer needs the reverse, 4 outputs from 6 inputs: y[i] = sum_k d[i + k] g[k].
This is the same sum with the roles of h and c exchanged, the transpose of the linear map h -> c:

    y = E_4^T ((E_3 g) * (E_6^-T d))        Winograd writes A^T, G and B^T for the three factors

The columns of E_6^-1 are the coefficients of Lagrange's polynomials L_i, the product of (x - p_j) / (p_i - p_j) over
the other finite points. Infinity's is the product of all (x - p_j). Their denominators may be moved from B^T to G,
which is used once a layer and not once a tile. Then the numbers in A and B are whole numbers divided by 1, 2,
4 or 8. Floating-point numbers hold them exactly. `cook_toom` computes this in fractions.

In two dimensions each matrix is applied along both axes: 36 multiplications for 16 outputs, where the plain sum has
144.

What it costs
-------------
Accuracy. Numbers grow in the transforms and cancel later. The error that is left is 2e-6 to 4e-6 of the largest output
in float32. The plain sum has 3e-7 to 5e-7. The gradients have errors up to 6e-6. In float64 the error is 1e-14. The
choice of the points matters: with 2 in the place of 1/2 the error is more than twice as large. With the eight points of
F(6, 3) the error is four times as large. tests/engine/test_winograd.py proves the identity in fractions, and checks the
errors of F(4, 3).

Source: Lavin and Gray 2016, "Fast algorithms for convolutional neural networks"; Winograd 1980; Toom 1963. The points
are those of Barabasz et al. 2020, "Error analysis and improving the accuracy of Winograd convolution".
"""

from fractions import Fraction

import numpy as np

from fcn_from_scratch.engine import threads

POINTS = (0, 1, -1, "1/2", -2)  # and infinity
OUTPUTS, TAPS = 4, 3
INPUTS = OUTPUTS + TAPS - 1


def cook_toom(points, outputs, taps):
    """Compute the matrices (A, G, B^T) of F(outputs, taps), exactly, for finite points and infinity.

    sum over k of d[i + k] * g[k] == (A^T ((G g) * (B^T d)))[i]

    Returns: nested lists of Fractions, A (inputs, outputs), G (inputs, taps) and B^T (inputs, inputs), in this order.
    Here inputs = outputs + taps - 1 is the number of points, infinity included.
    Identity: holds exactly for every d and g  (tests/engine/test_winograd.py).
    """
    inputs = outputs + taps - 1
    if len(set(points)) != inputs - 1 or len(points) != inputs - 1:
        raise ValueError(f"F({outputs}, {taps}) takes {inputs - 1} different points besides infinity; got {points}")
    points = [Fraction(p) for p in points]
    a = [[p**k for k in range(outputs)] for p in points] + [[Fraction(k == outputs - 1) for k in range(outputs)]]
    g = [[p**k for k in range(taps)] for p in points] + [[Fraction(k == taps - 1) for k in range(taps)]]
    b = []
    for i, p in enumerate(points):
        others = points[:i] + points[i + 1 :]
        b.append([*_with_roots(others), Fraction(0)])
        denominator = _product(p - other for other in others)
        g[i] = [value / denominator for value in g[i]]
    return a, g, [*b, _with_roots(points)]


def _with_roots(roots):
    """The coefficients of the polynomial prod (x - root), constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *coefficients], [*(root * c for c in coefficients), Fraction(0)]
        coefficients = [up - down for up, down in zip(shifted, scaled)]
    return coefficients


def _product(factors):
    product = Fraction(1)
    for factor in factors:
        product *= factor
    return product


def both_axes(g):
    """G along both axes of a kernel, as one (36, 9) matrix: row 6b + a, column 3i + j is G[a, i] * G[b, j].

    The 36 frequencies are numbered columns first, the order in which the bands compute them.
    """
    pairs = [(a, b) for b in range(INPUTS) for a in range(INPUTS)]
    return np.array([[float(g[a][i] * g[b][j]) for i in range(TAPS) for j in range(TAPS)] for a, b in pairs])


_A, _G, _B = cook_toom(POINTS, OUTPUTS, TAPS)
INPUT = np.array(_B, float)  # B^T, (6, 6): pixels of a tile -> frequencies
OUTPUT = np.array(_A, float).T  # A^T, (4, 6): frequencies -> outputs
KERNEL = both_axes(_G)


@threads.one_blas_thread
def transform_kernel(xp, weight, out, turned=False, some=slice(None)):
    """Compute G weight G^T for weight (F, C, 3, 3), into out (36, F, C).

    turned   transform the kernel turned by 180 degrees
    some     a slice: for these of the 36 frequencies only
    """
    taps = weight.transpose(0, 2, 3, 1).reshape(len(weight), TAPS * TAPS, -1).astype(out.dtype, copy=False)
    factor = xp.asarray((KERNEL[some, ::-1] if turned else KERNEL[some]).astype(out.dtype, order="C"))

    def transform(filters):
        xp.matmul(factor, taps[filters], out=out[:, filters].transpose(1, 0, 2))

    threads.run(transform, threads.split(len(taps), threads.shares()))


@threads.one_blas_thread
def transform_kernel_adjoint(xp, dkernel, out):
    """Add to out (F, C, 3, 3) the weight gradient that follows from that of the transformed kernel, (36, F, C)."""
    _, f, c = dkernel.shape
    factor, total = xp.asarray(KERNEL.T.astype(dkernel.dtype, order="C")), out.transpose(2, 3, 0, 1)

    def add_up(filters):
        taps = factor @ dkernel[:, filters].reshape(INPUTS * INPUTS, -1)
        total[:, :, filters] += taps.reshape(TAPS, TAPS, -1, c)

    threads.run(add_up, threads.split(f, threads.shares()))
    return out
