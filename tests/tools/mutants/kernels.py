"""Mistakes in the CUDA kernels, their launcher and the emulator."""

from planting import Mutant

EMULATOR = "kernels/test_emulator.py"
FAR = "kernels/test_far.py"
KERNELS = "kernels/test_kernels.py"

MUTANTS = [
    Mutant(
        "kernels take NumPy's arrays for ever",
        "kernels.emulator.emulated",
        "ORDER, launch.HOST = before",
        "ORDER, _ = before",
        EMULATOR,
    ),
    Mutant(
        "the emulator runs in one order",
        "kernels.emulator.emulated",
        "(ORDER, launch.HOST), order,",
        "(ORDER, launch.HOST), 0,",
        EMULATOR,
    ),
    Mutant(
        "the emulator shuffles nothing",
        "kernels/emulator.cpp",
        "if (order > 1) std::shuffle",
        "if (order < 0) std::shuffle",
        EMULATOR,
    ),
    Mutant(
        "an atomic addition forgets its start",
        "kernels/emulator.h",
        "= before + value;",
        "= value;",
        EMULATOR,
    ),
    Mutant(
        "shared memory begins with zeros",
        "kernels/emulator.cpp",
        "memset(shared, 0xFF, shared_bytes)",
        "memset(shared, 0, shared_bytes)",
        EMULATOR,
    ),
    Mutant(
        "the kernel of transposed convolution without dilation",
        "kernels/conv_transpose.cu",
        "tap_on(i, u, sh, ph, dh)",
        "tap_on(i, u, sh, ph, 1)",
        KERNELS,
    ),
    Mutant(
        "the kernel of transposed convolution reads the first group alone",
        "kernels/conv_transpose.cu",
        "const int first = o / outputs * inputs;",
        "const int first = 0;",
        KERNELS,
    ),
    Mutant(
        "the kernel of transposed convolution mixes the outputs of groups",
        "kernels/conv_transpose.cu",
        "* outputs + o % outputs;",
        "* outputs + o / groups;",
        KERNELS,
    ),
    Mutant(
        "the launcher of transposed convolution exchanges the dilations",
        "kernels.upsample.conv_transpose",
        "*dilation, groups",
        "*dilation[::-1], groups",
        KERNELS,
    ),
    Mutant(
        "im2col without dilation",
        "kernels/im2col.cu",
        "+ dh * place[2] - ph",
        "+ place[2] - ph",
        KERNELS,
    ),
    Mutant(
        "an odometer drops its carry",
        "kernels/odometer.cuh",
        "digit[k] += step[k] + carry;",
        "digit[k] += step[k];",
        KERNELS,
    ),
    Mutant(
        "packs reach from one pixel's channels into the next",
        "kernels.launch.packs",
        "whole = run * arrays[0].itemsize % PACK_BYTES == 0",
        "whole = True",
        KERNELS,
    ),
    Mutant(
        "packs at any address",
        "kernels.launch.packs",
        "if whole and not any(address(array) % PACK_BYTES for array in arrays) else",
        "if whole else",
        "kernels/test_variants.py",
    ),
    Mutant(
        "32-bit indices one array too far",
        "kernels.launch.indices",
        "max(sizes) <= MOST_INDEX",
        "max(sizes) <= MOST_INDEX + 1",
        "kernels/test_variants.py",
    ),
    Mutant(
        "the fused pool counts outputs beyond the map",
        "kernels/winograd.cu",
        "if (inside && (value > best",
        "if ((value > best",
        KERNELS,
    ),
    Mutant(
        "the adjoint reads before all pixels are there",
        "kernels/winograd.cu",
        "    __syncthreads();  // all 16 pixels of all tiles are there\n",
        "",
        KERNELS,
    ),
    Mutant(
        "a GPU takes Winograd under TF32",
        "engine.conv._resolved",
        '(chosen, place) == ("winograd", "full")',
        'chosen == "winograd"',
        "kernels/test_step.py",
    ),
    Mutant(
        "fc6's gradients come from the patches of dy",
        "engine.conv_gpu._by_patches_of_x",
        "return 2 * out * channels < math.prod(size) * len(weight)",
        "return False",
        "kernels/test_step.py",
    ),
    Mutant(
        "the implicit GEMM writes the buffer that is read",
        "kernels/implicit_gemm.cu",
        "store_run(patch_run, patches[1 - now], first, mine);",
        "store_run(patch_run, patches[now], first, mine);",
        KERNELS,
    ),
    Mutant(
        "the implicit GEMM reads the first pixels beyond the image",
        "kernels/implicit.cuh",
        "0 <= u && u < window.H &&",
        "",
        KERNELS,
    ),
    Mutant(
        "a strip's place keeps its column of taps",
        "kernels/implicit.cuh",
        "tap.b = 0;",
        "",
        KERNELS,
    ),
    Mutant(
        "3xTF32 with one product",
        "kernels/tf32x3_gemm.cu",
        "multiply_add(sum[r][q], big_a, small_b[q]);",
        "",
        KERNELS,
    ),
    Mutant(
        "a launch takes the numbers of one of another kind",
        "kernels.launch._numbers",
        "@functools.lru_cache(maxsize=4096, typed=True)",
        "@functools.lru_cache(maxsize=4096)",
        "kernels/test_launch.py",
    ),
    Mutant(
        "the GPU's pool takes the last of equals",
        "kernels/max_pool.cu",
        "value > best",
        "value >= best",
        KERNELS,
    ),
    Mutant(
        "no barrier in the tree of a sum",
        "kernels/reduce.cuh",
        """
            shared[threadIdx.x + step];
                __syncthreads();
        """,
        "shared[threadIdx.x + step];",
        KERNELS,
    ),
    Mutant(
        "the weight of a pixel is left out of its gradient",
        "kernels/softmax_cross_entropy.cu",
        "const REAL factor = weight / divisor",
        "const REAL factor = 1 / divisor",
        KERNELS,
    ),
    Mutant(
        "a strip begins before its readers are done",
        "kernels/gemm.cu",
        """
              }
              __syncthreads();  // everybody is done with them; the next ones may be written
            }
        """,
        """
              }
            }
        """,
        KERNELS,
    ),
    Mutant(
        "the first window that covers a pixel is left out",
        "kernels/windows.cuh",
        "beyond > 0 ? (beyond + s - 1) / s : 0",
        "beyond > 0 ? (beyond + s) / s : 0",
        KERNELS,
    ),
    Mutant(
        "windows behind the last one",
        "kernels/windows.cuh",
        "last < windows ? last : windows - 1",
        "last <= windows ? last : windows - 1",
        KERNELS,
    ),
    Mutant(
        "between two taps is on a tap",
        "kernels/windows.cuh",
        "from_first % d == 0 ? from_first / d : -1",
        "from_first / d",
        KERNELS,
    ),
    Mutant(
        "the GPU turns the kernel about one axis only",
        "kernels/winograd.cu",
        "transform_kernel(w + first + step * j, 3 * step,",
        "transform_kernel(w + (turned ? 6 : 0) + j, 3 * step,",
        KERNELS,
    ),
    Mutant(
        "the last band's products are the whole gradient",
        "kernels.winograd.conv3x3_weight_grad",
        "dkernel += xp.matmul(gradients, tiles)",
        "dkernel = xp.matmul(gradients, tiles)",
        KERNELS,
    ),
    Mutant(
        "a pixel gets its first window's gradient only",
        "kernels/max_pool.cu",
        "sum += dy[plane + order[next] * C];",
        "sum = dy[plane + order[at] * C];",
        KERNELS,
    ),
    Mutant(
        "a thread's number is 32 bits wide",
        "kernels/common.cuh",
        "idx_t i = (idx_t)blockIdx.x * blockDim.x + threadIdx.x",
        "idx_t i = blockIdx.x * blockDim.x + threadIdx.x",
        FAR,
    ),
    Mutant(
        "a product of matrices is placed in 32 bits",
        "kernels/gemm.cu",
        "C[(idx_t)m * N + n] = sum[r][q]",
        "C[m * N + n] = sum[r][q]",
        FAR,
    ),
    Mutant(
        "the emulator runs another block than it is told",
        "kernels/emulator.cpp",
        "std::iota(turns.begin(), turns.end(), first);",
        "std::iota(turns.begin(), turns.end(), 0u);",
        FAR,
    ),
    Mutant(
        "the halves of a random number exchanged",
        "kernels/dropout.cu",
        "half % 2 ? 32 : 0",
        "half % 2 ? 0 : 32",
        "kernels/test_random.py",
    ),
    Mutant(
        "the spare half of a random number is forgotten",
        "kernels.random.skip",
        'halves = count - before["has_uint32"]',
        "halves = count",
        "kernels/test_random.py",
    ),
    Mutant(
        "a kernel is given any dtype",
        "kernels.launch._check_array",
        "if array.dtype != dtype:",
        "if False:",
        "kernels/test_launch.py",
    ),
]
