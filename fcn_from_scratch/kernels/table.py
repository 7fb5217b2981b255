"""Every kernel's name, source and parameters: what launch.py checks a call against.

The parameters are written as in the source, less `__restrict__`; tests/kernels/test_table.py holds the two equal.
A pointer that may be null is marked with a question mark.

A kernel may have variants, made from the same source by other definitions: INDEX=int, whose indices are 32 bits wide,
and PACKED=1, which reads and writes 16 bytes at a time.
"""

from typing import NamedTuple

WINDOW = "int N, int H, int W, int C, int oh, int ow, int kh, int kw, int sh, int sw, int ph, int pw"
CONV = (
    "int N, int H, int W, int C, int F, int oh, int ow, int kh, int kw, int sh, int sw, int ph, int pw, int dh, int dw"
)
AXIS = "int outer, int size, int inner, int k, int s, int p"
TILES = "int N, int oh, int ow, int F, int first, int rows, int columns"
INT, PACKED = "INDEX=int", "PACKED=1"
BY_INDEX_AND_PACK = (), (INT,), (PACKED,), (INT, PACKED)
LRN = "long long rows, int C, int size, REAL alpha, REAL beta, REAL k"


class Parameter(NamedTuple):
    """One parameter of a kernel. `type` is C's word for the value or, for a pointer, for what it points to."""

    name: str
    type: str
    pointer: bool = False
    const: bool = False
    optional: bool = False


class Kernel(NamedTuple):
    """A kernel. `variants` are tuples of definitions, each a kernel of its own; () is the one without any."""

    name: str
    source: str
    parameters: tuple
    variants: tuple = ((),)


def _kernel(name, source, parameters, variants=((),)):
    return Kernel(name, source, tuple(map(_parameter, parameters.split(", "))), variants)


def _parameter(text):
    words, name = text.rsplit(" ", 1)
    const = words.startswith("const ")
    pointer = words.rstrip("?").endswith("*")
    return Parameter(name, words.removeprefix("const ").rstrip("?*"), pointer, const, words.endswith("?"))


KERNELS = {
    kernel.name: kernel
    for kernel in (
        _kernel("sum_partials", "sum_partials.cu", "const double* partials, double* totals, int rows, int columns"),
        _kernel(
            "im2col",
            "im2col.cu",
            "const REAL* x, REAL* patches, int N, int H, int W, int C, int first, int rows, int ow, int kh, int kw, "
            "int sh, int sw, int ph, int pw, int dh, int dw",
            BY_INDEX_AND_PACK,
        ),
        _kernel(
            "implicit_gemm",
            "implicit_gemm.cu",
            f"const REAL* x, const REAL* weight, const REAL*? bias, REAL* y, {CONV}, int relu",
            ((), (PACKED,)),
        ),
        _kernel(
            "tf32x3_gemm",
            "implicit_gemm.cu",
            f"const float* x, const float* weight, const float*? bias, float* y, {CONV}, int relu",
            ((), (PACKED,)),
        ),
        _kernel(
            "implicit_weight_grad",
            "implicit_weight_grad.cu",
            f"const REAL* dy, const REAL* x, REAL* parts, {CONV}, int shares, long long share",
            ((), (PACKED,)),
        ),
        _kernel(
            "tf32x3_weight_grad",
            "implicit_weight_grad.cu",
            f"const float* dy, const float* x, float* parts, {CONV}, int shares, long long share",
            ((), (PACKED,)),
        ),
        _kernel(
            "sum_parts",
            "implicit_weight_grad.cu",
            "const REAL* parts, REAL* sum, long long count, int shares",
        ),
        _kernel("col2im", "col2im.cu", f"const REAL* columns, REAL* x, {WINDOW}, int dh, int dw"),
        _kernel("gemm", "gemm.cu", "const REAL* A, const REAL* B, REAL* C, int M, int N, int K"),
        _kernel(
            "max_pool",
            "max_pool.cu",
            f"const REAL* x, REAL* y, unsigned char* winner, {WINDOW}, int dh, int dw, int relu",
        ),
        _kernel(
            "max_pool_backward",
            "max_pool.cu",
            f"const REAL* dy, const unsigned char* winner, REAL* dx, {WINDOW}, int dh, int dw",
        ),
        _kernel(
            "max_pool_indices_backward",
            "max_pool.cu",
            "const REAL* dy, const long long* indices, const long long* order, REAL* dx, int N, int cells, int pixels, "
            "int C",
        ),
        _kernel("avg_pool", "avg_pool.cu", f"const REAL* x, REAL* y, {WINDOW}, int include_pad"),
        _kernel("avg_pool_backward", "avg_pool.cu", f"const REAL* dy, REAL* dx, {WINDOW}, int include_pad"),
        _kernel(
            "max_unpool_owner",
            "max_unpool.cu",
            "const long long* indices, int* owner, int N, int cells, int pixels, int C",
        ),
        _kernel(
            "max_unpool",
            "max_unpool.cu",
            "const REAL* x, const int* owner, REAL* y, int N, int cells, int pixels, int C",
        ),
        _kernel(
            "max_unpool_backward",
            "max_unpool.cu",
            "const REAL* dy, const long long* indices, REAL* dx, int N, int cells, int pixels, int C",
        ),
        _kernel(
            "conv_transpose",
            "conv_transpose.cu",
            "const REAL* x, const REAL* weight, const REAL*? bias, REAL* y, int N, int H, int W, int C, int O, int oh, "
            "int ow, int kh, int kw, int sh, int sw, int ph, int pw, int dh, int dw, int groups",
        ),
        _kernel("bilinear", "bilinear.cu", f"const REAL* x, REAL* y, {AXIS}"),
        _kernel("bilinear_backward", "bilinear.cu", f"const REAL* dy, REAL* dx, {AXIS}"),
        _kernel("bias_relu", "bias_relu.cu", "const REAL* x, const REAL* bias, REAL* y, long long rows, int C"),
        _kernel("relu_backward", "bias_relu.cu", "const REAL* dy, const REAL* y, REAL* dx, long long count"),
        _kernel(
            "pixel_weights",
            "softmax_cross_entropy.cu",
            "const long long* labels, const REAL*? class_weight, const REAL*? mask, double* partials, "
            "long long pixels, int C, long long ignore",
        ),
        _kernel(
            "softmax_cross_entropy",
            "softmax_cross_entropy.cu",
            "const REAL* scores, const long long* labels, const REAL*? class_weight, const REAL*? mask, "
            "const double* totals, REAL* dscores, double* partials, long long pixels, int C, long long ignore, "
            "int mean",
        ),
        _kernel("lrn", "lrn.cu", f"const REAL* x, REAL* y, {LRN}"),
        _kernel("lrn_backward_shared", "lrn.cu", f"const REAL* dy, const REAL* x, REAL* q, {LRN}"),
        _kernel("lrn_backward", "lrn.cu", f"const REAL* dy, const REAL* x, const REAL* q, REAL* dx, {LRN}"),
        _kernel(
            "dropout_mask",
            "dropout.cu",
            "bool* mask, long long count, float p, unsigned long long state_high, unsigned long long state_low, "
            "unsigned long long increment_high, unsigned long long increment_low, int has_saved, unsigned saved",
        ),
        _kernel(
            "dropout",
            "dropout.cu",
            "const REAL* x, const bool* mask, REAL* y, int N, int pixels, int C, int by_channel, REAL scale",
        ),
        _kernel(
            "sgd",
            "sgd.cu",
            "REAL* weight, REAL* velocity, const REAL* grad, long long count, REAL momentum, REAL rate, REAL decay",
        ),
        _kernel(
            "confusion_matrix",
            "confusion_matrix.cu",
            "const long long* labels, const long long* predictions, int* partials, long long pixels, int K, "
            "long long ignore",
        ),
        _kernel("sum_counts", "confusion_matrix.cu", "const int* partials, long long* counts, int blocks, int cells"),
        _kernel(
            "interlace",
            "interlace.cu",
            "const REAL* coarse, REAL* fine, int N, int h, int w, int C, int H, int W, int sh, int sw, int a, int b",
        ),
        _kernel(
            "winograd_input",
            "winograd.cu",
            "const REAL* x, REAL* tiles, int N, int H, int W, int C, int first, int rows, int columns, int ph, int pw",
        ),
        _kernel("winograd_kernel", "winograd.cu", "const REAL* weight, REAL* kernel, int F, int C, int turned"),
        _kernel("winograd_kernel_adjoint", "winograd.cu", "const REAL* dkernel, REAL* dweight, int F, int C"),
        _kernel(
            "winograd_output",
            "winograd.cu",
            f"const REAL* products, const REAL*? bias, REAL* y, {TILES}, int relu",
        ),
        _kernel(
            "winograd_output_pool",
            "winograd.cu",
            f"const REAL* products, const REAL*? bias, REAL* y, unsigned char* winner, {TILES}, int h, int w",
        ),
        _kernel("winograd_output_adjoint", "winograd.cu", f"const REAL* dy, REAL* gradients, {TILES}"),
    )
}
