"""Faster code for the ops: faster algorithms for the CPU, and calls of the CUDA kernels. A reader may skip it.

Every function here gives the same result as the op of the same name, up to rounding. `ops` calls it, except inside
`with fcn_from_scratch.plain():`. The tests compare both.

convolution      conv: the choice of an algorithm; im2col, conv_im2col, conv_wide: patches times weights; conv_gpu;
                 winograd, winograd_frequencies, winograd_weight_grad, winograd_tiles, winograd_transforms,
                 winograd_wide: fewer multiplications; conv_transpose
other ops        pooling, pooling_windows, loss, pixelwise; gpu: ops that one CUDA kernel computes
memory, cores    workspace: reuse of memory; threads: blocks of work on several cores; team, bells: how they wait
whole networks   replica, micro_batches, loss_shares: parts of a batch, with a thread for each, or a process:
                 part_processes, part_worker, channel
"""

from fcn_from_scratch.engine import gpu
from fcn_from_scratch.engine.conv import (
    conv2d,
    conv2d_backward,
    conv2d_bias_grad,
    conv2d_input_grad,
    conv2d_relu_pool,
    conv2d_weight_grad,
)
from fcn_from_scratch.engine.conv_transpose import conv_transpose2d, conv_transpose2d_backward
from fcn_from_scratch.engine.loss import softmax_cross_entropy
from fcn_from_scratch.engine.pixelwise import both_axes, matrix_product, relu, relu_backward, sgd, zero
from fcn_from_scratch.engine.pooling import max_pool2d, max_pool2d_winner, max_pool2d_winner_backward, winner_indices

__all__ = [
    "both_axes",
    "conv2d",
    "conv2d_backward",
    "conv2d_bias_grad",
    "conv2d_input_grad",
    "conv2d_relu_pool",
    "conv2d_weight_grad",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "gpu",
    "matrix_product",
    "max_pool2d",
    "max_pool2d_winner",
    "max_pool2d_winner_backward",
    "relu",
    "relu_backward",
    "sgd",
    "softmax_cross_entropy",
    "winner_indices",
    "zero",
]
