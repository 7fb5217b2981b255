"""Do the pictures fit the network, and does everything fit into memory?"""

from fcn_from_scratch import geometry
from fcn_from_scratch.geometry.table import memory as in_words
from fcn_from_scratch.lab import memory
from fcn_from_scratch.lab.doctor.registry import check, fine, note, serious, warning

INTERPRETER = 100 * 2**20  # bytes of memory for Python and NumPy


@check(
    "Do pictures of these sizes fit the network? Too small ones leave no cells for the last layers.",
    "pad or enlarge the pictures, or use a larger pad in the network: `fcn inspect MODEL` shows which sizes fit",
    needs=("model", "sizes"),
)
def picture_sizes(case):
    sizes = sorted(set(case.sizes))
    fitting = set(geometry.sizes_that_fit(case.model, sizes))
    misfits = [size for size in sizes if size not in fitting]
    if misfits:
        yield serious(f"{len(misfits)} of {len(sizes)} sizes do not fit {case.model.name}, such as {_size(misfits[0])}")
    stride = _stride(case.model)
    small = [size for size in sizes if min(size) < stride]
    if small:
        yield warning(
            f"pictures of {_size(small[0])} are smaller than the network's stride of {stride} pixels",
            "use larger pictures, or a network with a smaller stride",
        )
    if not misfits and not small:
        yield fine(f"{_size(sizes[0])}" + (f" to {_size(sizes[-1])}" if len(sizes) > 1 else "") + " fit")


@check(
    "Is there enough memory for the largest picture?",
    "use smaller pictures (--crop), a smaller batch, a mini_* network, or a machine with more memory",
    needs=("model", "sizes"),
)
def memory_needed(case):
    largest = max(case.sizes, key=lambda size: size[0] * size[1])
    if not geometry.fits(case.model, largest):
        return  # the check picture_sizes reports this
    segment, train = needed(case.model, largest, case.batch_size or 1)
    free = memory.available()
    text = f"{_size(largest)}: about {in_words(segment)} to segment, {in_words(train)} to train"
    if free is None:
        yield note(f"{text}; this system does not report how much is free")
    elif segment > free:
        yield serious(f"{text}; {in_words(free)} are free")
    elif train > free:
        yield warning(f"{text}; {in_words(free)} are free: enough to segment, not to train")
    else:
        yield fine(f"{text}; {in_words(free)} are free")


def needed(model, size, batch_size=1):
    """(bytes to segment one picture, bytes to train on a batch): estimates, measured with NumPy 2 on Linux.

    Segmenting takes the weights and two and a half maps of the largest layer. A training step takes weights, gradients
    and velocities, and each map twice: once kept for backward, once for gradients and patches. Writing a checkpoint
    copies weights and velocities while the maps still exist. Training takes the larger of the two.
    """
    table = geometry.table(model, size)
    weights = sum(array.nbytes for array in model.params.values())
    largest, maps = max(row.bytes for row in table.rows), batch_size * table.activation_bytes
    step, save = 3 * weights + 2 * maps, 5 * weights + maps
    return INTERPRETER + weights + 5 * largest // 2, INTERPRETER + max(step, save)


def _stride(model):
    field = geometry.receptive_field(model.coarse_path).stride if hasattr(model, "coarse_path") else 1
    return int(max(field) if isinstance(field, tuple) else field)


def _size(size):
    return f"{size[0]}x{size[1]}"
