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
the other finite points. Infinity's is the product of all (x - p_j). Their denominators f_i may be moved from B^T to G,
which is used once a layer and not once a tile. Then B^T has integers only. The points 0, 1, -1, 2, -2 give f = 4, -6,
-6, 24, 24: this is where 1/24 comes from. `cook_toom` computes this in fractions.

In two dimensions each matrix is applied along both axes: 36 multiplications for 16 outputs, where the plain sum has
144. The transforms themselves need only additions and small factors. They are written out below. Two rows share their
terms: at a point and at its negative, a polynomial has the same even part, and odd parts of opposite sign.

What it costs
-------------
Accuracy. B^T has entries up to 5 and G down to 1/24. So values grow, cancel, and leave an error 10 to 40 times that of
the plain sum: up to 1.5e-5 of the largest output in float32 where the sum has 5e-7, and 1e-14 in float64. The gradients
with respect to the input and to the weight have errors up to 1.5e-5 and 1e-5 of their largest value. Points with
smaller powers (0, 1, -1, 1/2, -2) would halve it, but they have no pairs that share additions. More points, F(6, 3),
would double it. tests/engine/test_winograd.py proves the identity in fractions and checks these errors.

Source: Lavin and Gray 2016, "Fast algorithms for convolutional neural networks"; Winograd 1980; Toom 1963.
"""

from fractions import Fraction

import numpy as np

from fcn_from_scratch.engine import threads

POINTS = (0, 1, -1, 2, -2)  # and infinity
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


def _both_axes():
    """G along both axes of a kernel, as one (36, 9) matrix: row 6b + a, column 3i + j is G[a, i] * G[b, j].

    The 36 frequencies are numbered columns first, the order in which the bands compute them.
    """
    g = cook_toom(POINTS, OUTPUTS, TAPS)[1]
    pairs = [(a, b) for b in range(INPUTS) for a in range(INPUTS)]
    return np.array([[float(g[a][i] * g[b][j]) for i in range(TAPS) for j in range(TAPS)] for a, b in pairs])


KERNEL = _both_axes()


@threads.one_blas_thread
def transform_kernel(xp, weight, out, turned=False):
    """Compute G weight G^T for weight (F, C, 3, 3), into out (36, F, C).

    turned   transform the kernel turned by 180 degrees
    """
    taps = weight.transpose(0, 2, 3, 1).reshape(len(weight), TAPS * TAPS, -1).astype(out.dtype, copy=False)
    factor = xp.asarray((KERNEL[:, ::-1] if turned else KERNEL).astype(out.dtype, order="C"))

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


def transform_input(xp, d, out, spare):
    """B^T along one axis: six arrays d -> six arrays out. spare: three such arrays for work."""
    d0, d1, d2, d3, d4, d5 = d
    even, odd, other = spare
    add, subtract, multiply = xp.add, xp.subtract, xp.multiply
    subtract(d4, d2, out=even)
    subtract(d3, d1, out=odd)
    multiply(d2, 3, out=other)
    subtract(even, other, out=other)  # d4 - 4 d2
    multiply(d1, 3, out=out[5])
    subtract(odd, out[5], out=out[5])  # d3 - 4 d1
    add(other, out[5], out=out[1])
    subtract(other, out[5], out=out[2])
    subtract(d0, d2, out=other)
    multiply(other, 4, out=other)
    add(other, even, out=out[0])  # 4 d0 - 5 d2 + d4
    add(odd, odd, out=odd)
    add(even, odd, out=out[3])
    subtract(even, odd, out=out[4])
    add(odd, odd, out=odd)
    subtract(d5, d3, out=out[5])
    subtract(out[5], odd, out=out[5])  # 4 d1 - 5 d3 + d5


def transform_output(xp, m, out, spare):
    """A^T along one axis: six arrays m -> four arrays out. spare: three such arrays for work."""
    m0, m1, m2, m3, m4, m5 = m
    ones, difference, twos = spare
    add, subtract, multiply = xp.add, xp.subtract, xp.multiply
    add(m1, m2, out=ones)
    add(m3, m4, out=twos)
    add(m0, ones, out=out[0])
    add(out[0], twos, out=out[0])
    multiply(twos, 4, out=twos)
    add(ones, twos, out=out[2])
    subtract(m1, m2, out=difference)
    subtract(m3, m4, out=twos)
    add(twos, twos, out=twos)
    add(difference, twos, out=out[1])
    multiply(twos, 4, out=twos)
    add(difference, twos, out=out[3])
    add(out[3], m5, out=out[3])


def transform_output_adjoint(xp, y, out, spare):
    """A along one axis, the transpose of transform_output: four arrays y -> six arrays out. spare: two for work."""
    y0, y1, y2, y3 = y
    even, odd = spare
    add, subtract, multiply = xp.add, xp.subtract, xp.multiply
    out[0][...] = y0
    out[5][...] = y3
    add(y0, y2, out=even)
    add(y1, y3, out=odd)
    add(even, odd, out=out[1])
    subtract(even, odd, out=out[2])
    multiply(y2, 4, out=even)
    add(even, y0, out=even)
    multiply(y3, 4, out=odd)
    add(odd, y1, out=odd)
    add(odd, odd, out=odd)
    add(even, odd, out=out[3])
    subtract(even, odd, out=out[4])
