"""Is a hand-written backward the derivative of its forward? Finite differences give the answer.

vjp.py         the check itself, for any pair of functions, and the full Jacobian for the small cases of lesson 3
layers.py      the same check for a layer: its input, its parameters and the promises of the layer contract
parameters.py  a layer's parameters, each with the place where backward leaves its gradient
attributes.py  find them in a layer that does not keep the layer contract
user_layer.py  the check of a layer from the user's own file
hints.py       what may be wrong with a gradient that fails
cases.py       every op and layer of the package in many configurations; `fcn gradcheck` prints their table
"""

from fcn_from_scratch.gradcheck.layers import layer_check
from fcn_from_scratch.gradcheck.vjp import (
    away_from_zero,
    numerical_jacobian,
    spaced,
    vjp_check,
    vjp_errors,
    vjp_jacobian,
)

__all__ = [
    "away_from_zero",
    "layer_check",
    "numerical_jacobian",
    "spaced",
    "vjp_check",
    "vjp_errors",
    "vjp_jacobian",
]
