"""Mistakes in pooling, unpooling and the sizes they give."""

from planting import Mutant

POOL = "ops/test_pooling.py"
RUNS = "layers/test_fused.py"
WINO = "engine/test_winograd.py"

MUTANTS = [
    Mutant(
        "fused pool prefers the later of equal pixels",
        "engine.pooling.relu_pool",
        "winner *= smaller[0, 0]",
        "winner = np.where(windows[1, 1] == largest, np.uint8(3), winner * smaller[0, 0])",
        WINO,
    ),
    Mutant(
        "a pooled zero learns",
        "engine.pooling.relu_pool",
        "positive = (largest > 0).view(np.uint8)",
        "positive = (largest >= 0).view(np.uint8)",
        "engine/test_pooling.py",
    ),
    Mutant(
        "fused pool asks the wrong pixel for the second place",
        "engine.pooling.relu_pool",
        "winner *= smaller[0, 1]",
        "winner *= smaller[1, 0]",
        RUNS,
    ),
    Mutant(
        "fused pool leaves out the bias",
        "engine.conv_im2col.im2col_conv2d_relu_pool",
        "lines += _along_rows(bias, pw)",
        "pass",
        RUNS,
    ),
    Mutant(
        "the pool's gradient goes to a transposed window",
        "engine.pooling.max_pool2d_winner_backward",
        "taps = dx.reshape(n, oh, kh, ow, kw, c).transpose(2, 4, 0, 1, 3, 5)",
        "taps = dx.reshape(n, oh, kh, ow, kw, c).transpose(4, 2, 0, 1, 3, 5)",
        "engine/test_pooling.py",
    ),
    Mutant(
        "fused pool drops the last row of ceil mode",
        "engine.conv.conv2d_relu_pool",
        'if chosen == "im2col" and geometry.groups == 1 and not any(n % 2 for n in geometry.output_size):',
        'if chosen == "im2col" and geometry.groups == 1:',
        RUNS,
    ),
    Mutant(
        "max-pool ties go to the last",
        "engine.pooling.max_pool2d_winner",
        "(tap > largest)",
        "(tap >= largest)",
        POOL,
    ),
    Mutant(
        "padding wins a max-pool",
        "engine.pooling.max_pool2d_winner",
        "lowest = -np.inf if",
        "lowest = 0 if",
        POOL,
    ),
    Mutant(
        "max-pool positions count in heights",
        "engine.pooling_windows.Windows.flat_position",
        "dh, dw), width = self.kernel_size, self.dilation, self.size[1]",
        "dh, dw), width = self.kernel_size, self.dilation, self.size[0]",
        POOL,
    ),
    Mutant(
        "a pixel that won twice is paid once",
        "ops.pooling.max_pool2d_backward",
        "xp.add.at(dx.reshape(-1), _flat(indices, x_shape), dy.ravel())",
        "dx.reshape(-1)[_flat(indices, x_shape)] = dy.ravel()",
        POOL,
    ),
    Mutant(
        "average counts beyond the padding",
        "ops.pooling._counts",
        "(0, 0), 0, geometry.overhang(size))",
        "(0, 0), 1, geometry.overhang(size))",
        POOL,
    ),
    Mutant(
        "ceil and floor swapped",
        "ops.shapes.pool_output_size",
        "out = -(-room // stride) + 1",
        "out = room // stride + 1",
        POOL,
    ),
    Mutant(
        "a window beyond the image counts",
        "ops.shapes.pool_output_size",
        "if (out - 1) * stride >= size + padding:",
        "if (out - 1) * stride > size + padding:",
        POOL,
    ),
    Mutant(
        "unpooling's gradient read where the pool is now",
        "layers.pooling.MaxUnpool2d._backward",
        "return ops.max_unpool2d_backward(dy, indices)",
        "return ops.max_unpool2d_backward(dy, self.pool.indices if self.pool else indices)",
        "layers/test_pooling.py",
    ),
    Mutant(
        "unpooled maps of even size",
        "layers.pooling.MaxUnpool2d._of_the_pool",
        "return self.pool.indices, self.pool.input_size",
        "return self.pool.indices, tuple(s * n for s, n in zip(self.pool.stride, self.pool.indices.shape[2:]))",
        "models/test_decoder.py",
    ),
]
