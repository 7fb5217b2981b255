"""Can this machine run the project?"""

import os
import platform

import numpy as np

from fcn_from_scratch import gradcheck, ops
from fcn_from_scratch.engine import threads
from fcn_from_scratch.geometry.table import memory as in_words
from fcn_from_scratch.lab import memory
from fcn_from_scratch.lab.doctor.registry import check, fine, note, serious, warning

LITTLE = 2 * 2**30  # bytes: VGG16 takes 1.5 GiB while it is built


@check("Is NumPy recent enough?", "pip install --upgrade numpy")
def versions(case):
    if int(np.__version__.split(".")[0]) < 2:
        yield serious(f"NumPy is {np.__version__}; 2.0 or later is needed")
    yield fine(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.system()} {platform.machine()}")


@check("Is the arithmetic right?", "reinstall NumPy: pip install --force-reinstall numpy")
def arithmetic(case):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 3, 9, 8)), rng.normal(size=(4, 3, 3, 2))
    error = gradcheck.vjp_check(
        lambda x, weight: ops.conv2d(x, weight, stride=2),
        lambda dy: ops.conv2d_backward(dy, x, weight, stride=2)[:2],
        [x, weight],
        rng,
    )
    if not error < 1e-7:
        yield serious(f"the gradient of a convolution is off by {error:.1e}")
    else:
        yield fine(f"the gradient of a convolution is right to {error:.0e}")


@check("How many cores are used?", "set FCN_THREADS to the number of cores, or unset it")
def cores(case):
    cores, workers = os.cpu_count() or 1, threads.workers()
    if workers == 1 < cores:
        asked = "FCN_THREADS" in os.environ
        why = "" if asked else ": NumPy's BLAS is not OpenBLAS, so its threads cannot be limited"
        yield warning(f"one thread on {cores} cores{why}")
    elif workers > cores:
        yield warning(f"{workers} threads on {cores} cores slow each other down")
    else:
        yield fine(f"{workers} of {cores} cores")


@check("Is there enough memory?", "close other programs, or use mini_* networks and smaller pictures")
def free_memory(case):
    free = memory.available()
    if free is None:
        yield note("this system does not report how much memory is free")
    elif free < LITTLE:
        yield warning(f"{in_words(free)} are free: enough for the lessons, not for VGG16")
    else:
        yield fine(f"{in_words(free)} free")


@check("Can it use a GPU?")
def gpu(case):
    try:
        import cupy
    except ImportError:
        yield note("no CuPy: everything runs on the CPU (for an NVIDIA GPU: pip install 'fcn_from_scratch[gpu]')")
        return
    if not cupy.cuda.is_available():
        yield note(f"CuPy {cupy.__version__}, but no NVIDIA GPU or driver: everything runs on the CPU")
        return
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    free, total = cupy.cuda.runtime.memGetInfo()
    yield fine(f"CuPy {cupy.__version__} on {name}, {in_words(free)} of {in_words(total)} free: pass --device cuda")


@check("Can pictures be read?", "pip install --force-reinstall pillow")
def picture_formats(case):
    import PIL
    from PIL import features

    missing = [name for name, codec in (("JPEG", "jpg"), ("PNG", "zlib")) if not features.check(codec)]
    if missing:
        yield serious(f"Pillow {PIL.__version__} was built without {' and '.join(missing)}")
    else:
        yield fine(f"Pillow {PIL.__version__} with JPEG and PNG")


@check("Can figures be drawn?", "pip install --force-reinstall matplotlib")
def figures(case):
    import matplotlib
    from matplotlib import font_manager

    try:
        font_manager.findfont("DejaVu Sans", fallback_to_default=False)
    except ValueError:
        yield warning(f"Matplotlib {matplotlib.__version__} does not find its own font: figures will look different")
    else:
        yield fine(f"Matplotlib {matplotlib.__version__} with its fonts")
