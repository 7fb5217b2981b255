"""The whole state of a training run in one .npz file, so that the run can continue exactly where it stopped.

model/NAME and velocity/NAME   the parameters and the optimiser's velocities
losses                         the loss of every step so far
meta                           JSON, as bytes: name and options of the model, steps, the states of all random
                               generators and of the batches, class names, and what the caller adds

digest                         SHA-256 of all of that: it tells whether anything was changed since

The file is first written under another name and then renamed. So if the process is killed, the old file or the new one
is there, never half of one. The old file is kept as previous.npz until the new one has been read back from the disk.
Weights that are not finite are never written: they would replace the last good state.
"""

import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np

from fcn_from_scratch.checks import InputError, few, printable
from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.training import finite
from fcn_from_scratch.training.meta import FORMAT, problem, require_options_fit
from fcn_from_scratch.weights import MODEL_PREFIX, parameters
from fcn_from_scratch.weights.npz import read_npz
from fcn_from_scratch.weights.trust import MOST_JSON, parsed_json

VELOCITY_PREFIX = "velocity/"
DIGEST = "digest"
MOST_REASON = 200  # characters of what JSON's reader says


def save(path, trainer, extra=None):
    """Write the whole state of a Trainer. `extra` is a dict for JSON with all that is needed to rebuild the run.

    While the trainer is computing a step, this is the state before that step.
    Raises: finite.DivergedError when weights or velocities are not finite; InputError where the facts are such that
    `read` would refuse them. The file is unchanged then.
    """
    model, optimizer = trainer.model, trainer.optimizer
    meta = facts(trainer, extra)
    arrays = {MODEL_PREFIX + name: array for name, array in model.state_dict().items()}
    arrays |= {VELOCITY_PREFIX + name: array for name, array in optimizer.state_dict().items()}
    if found := finite.wrong(arrays):
        raise finite.DivergedError(f"after step {optimizer.steps} the numbers of {found[0]} are not finite")
    arrays["losses"] = np.array(trainer.losses, np.float64)
    arrays["meta"] = np.frombuffer(meta, np.uint8)
    _replace(Path(path), arrays | {DIGEST: digest(arrays)})


def facts(trainer, extra=None):
    """The meta of a checkpoint of this trainer, as bytes of JSON.

    Raises: InputError where `read` would refuse it: a run must not end with a file that cannot be read.
    """
    position = trainer.position()
    meta = {
        "format": FORMAT,
        "model": trainer.model.name,
        "options": getattr(trainer.model, "options", {}),
        "steps": trainer.optimizer.steps,
        "generators": position["generators"],
        "batches": position["batches"],
        "extra": extra or {},
    }
    data = json.dumps(meta).encode()
    wrong = _meta(data)[1]
    if wrong is not None:
        raise InputError(f"a checkpoint of this run could not be read back: {wrong}")
    return data


def previous(path):
    """Where the old checkpoint lies while a new one is written: previous.npz beside checkpoint.npz."""
    path = Path(path)
    return path.with_name("previous.npz" if path.stem == "checkpoint" else f"{path.stem}.previous.npz")


def recover(path):
    """Put back the checkpoint that was kept while a new one was written, if the new one is not sound.

    It is there only when a process was killed at that moment. Only the writer of the folder may call this.
    """
    path, old = Path(path), previous(path)
    if not old.exists():
        return
    try:
        read(path)
    except (InputError, FileNotFoundError) as error:
        read(old)
        os.replace(old, path)
        print(f"note: {error}; going on from {old.name}, the checkpoint before it")
    else:
        old.unlink()


def digest(arrays):
    """SHA-256 over names, dtypes, shapes and numbers of a dict of arrays. Returns: uint8 (32,)."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        total.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        total.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return np.frombuffer(total.digest(), np.uint8)


def _replace(path, arrays):
    """Write a file of arrays in the place of the old one, which is kept until the new one has been read back."""
    old = previous(path)
    if path.exists():
        old.unlink(missing_ok=True)
        _also(path, old)
    try:
        write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
        _read_back(path)
    except BaseException:
        if old.exists() and not (path.exists() and path.samefile(old)):
            os.replace(old, path)
        raise
    finally:
        old.unlink(missing_ok=True)


def _also(path, other):
    """Give a file a second name; where the file system cannot, a copy."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)


def _read_back(path):
    """Read a file of arrays that was just written. Raises: OSError that names it when other bytes come back."""
    try:
        with open(path, "rb") as file:
            with suppress(AttributeError, OSError):  # from the disk, not from memory, where the system can be told so
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            with np.load(file, allow_pickle=False) as archive:
                for name in archive.files:  # one by one: the check sums of the archive are compared
                    archive[name]
    except Exception as error:
        raise OSError(5, f"what was just written cannot be read back ({error})", str(path)) from error


def load(path, trainer, free=()):
    """Load a saved state into a Trainer of the same model, options and data; returns `extra`.

    free   settings of the batches, such as "batch_size", in which the trainer may differ
    Raises: InputError that lists all names, shapes and dtypes that differ. The Trainer is unchanged then.
    """
    arrays, meta = read(path)
    if found := finite.wrong(arrays):
        raise InputError(f"{path} cannot go on, since not all of its numbers are finite: {few(found, 3)}")
    model, optimizer, batches = trainer.model, trainer.optimizer, trainer.batches
    differences = []
    if meta["model"] != model.name:
        differences.append(f"the model is {model.name} here, {meta['model']} there")
    elif meta["options"] != _as_json(getattr(model, "options", {})):
        differences.append(f"the options are {getattr(model, 'options', {})} here, {meta['options']} there")
    differences += compare(model.params, parameters(arrays))
    if len(arrays["losses"]) != meta["steps"] and len(arrays["losses"]):
        differences.append(f"{len(arrays['losses'])} losses for {meta['steps']} steps")
    differences += [f"velocity of {d}" for d in compare(optimizer.velocity, _velocities(arrays))]
    generators = model.generators()
    differences += [f"generator {n}" for n in sorted(generators.keys() ^ meta["generators"].keys())]
    states = {n: _generator_state(g, meta["generators"].get(n)) for n, g in generators.items()}
    differences += [f"the state of generator {n}" for n in meta["generators"] if states.get(n, ()) is None]
    before = batches.state_dict()
    state = meta["batches"] | {name: before[name] for name in free}
    try:
        batches.load_state_dict(state)
    except ValueError as error:
        differences.append(str(error))
    if differences:
        batches.load_state_dict(before)
        raise InputError(f"{path} does not fit this run: " + "; ".join(differences))
    model.load_state_dict(parameters(arrays))
    optimizer.load_state_dict(_velocities(arrays), meta["steps"])
    for name, generator in generators.items():
        generator.bit_generator.state = states[name]
    trainer.losses = arrays["losses"].tolist()
    return meta["extra"]


def read(path):
    """(arrays, meta) of a checkpoint. Raises: InputError if the file is not one, or is not what was written."""
    arrays, meta, _ = read_with_digest(path)
    return arrays, meta


def read_with_digest(path):
    """As `read`, and whether the file records a digest: checkpoints of older versions do not."""
    arrays = read_npz(path)
    recorded, ours = arrays.pop(DIGEST, None), digest(arrays)
    arrays.pop("allow_pickle", None)  # some versions of NumPy write it
    array = arrays.pop("meta", None)
    meta, wrong = (None, "it has no meta") if array is None else _meta(array)
    if wrong is None and ("losses" not in arrays or arrays["losses"].ndim != 1):
        wrong = "it has no losses"
    if wrong is not None:
        raise InputError(f"{path} is an archive of arrays but not a checkpoint of format {FORMAT}: {wrong}")
    if recorded is not None and not np.array_equal(recorded, ours):
        raise InputError(f"{path} is not what was written: its digest does not fit its content")
    require_options_fit(meta["options"], parameters(arrays), path)
    return arrays, meta, recorded is not None


def _meta(data):
    """(value, problem in words) of a meta's bytes, or of the array that holds them."""
    if memoryview(data).nbytes > MOST_JSON:
        return None, f"its meta has more than {MOST_JSON} bytes"
    try:
        meta = parsed_json(bytes(data))
    except ValueError as error:
        return None, f"its meta is not JSON: {printable(str(error)[:MOST_REASON])}"
    return meta, problem(meta)


def is_sound(meta):
    """Whether `meta` has the entries that `save` writes."""
    return problem(meta) is None


def compare(ours, theirs):
    """Every difference between two dicts of arrays, in words: names, shapes, dtypes."""
    differences = [f"{name} is missing" for name in ours if name not in theirs]
    differences += [f"{name} is unknown" for name in theirs if name not in ours]
    for name in ours.keys() & theirs.keys():
        here, there = ours[name], theirs[name]
        if (here.shape, here.dtype) != (there.shape, there.dtype):
            differences.append(f"{name} is {here.dtype}{here.shape} here, {there.dtype}{there.shape} there")
    return sorted(differences)


def _generator_state(generator, state):
    """The saved state if this kind of generator accepts it, otherwise None."""
    try:
        type(generator.bit_generator)().state = state
    except (TypeError, ValueError, KeyError, OverflowError):
        return None
    return state


def _velocities(arrays):
    return {name[len(VELOCITY_PREFIX) :]: array for name, array in arrays.items() if name.startswith(VELOCITY_PREFIX)}


def _as_json(value):
    """The value as it is read back from JSON: tuples become lists."""
    return json.loads(json.dumps(value))
