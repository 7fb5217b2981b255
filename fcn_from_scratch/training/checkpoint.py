"""Everything a run needs to go on exactly where it was, in one .npz file.

model/NAME and velocity/NAME   the parameters and the optimiser's velocities
losses                         the loss of every step so far
meta                           JSON, as bytes: model name and options, steps, the states of all random generators,
                               of the batches, class names and whatever the caller adds

A file is written beside its target and renamed over it: whoever is killed at any moment leaves the old file or the
new one, never half of one.
"""

import json

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.weights import MODEL_PREFIX, parameters
from fcn_from_scratch.weights.npz import read_npz

FORMAT = 1
VELOCITY_PREFIX = "velocity/"
_KINDS = {"model": str | None, "options": dict, "steps": int, "generators": dict, "batches": dict, "extra": dict}


def save(path, trainer, extra=None):
    """Write a Trainer's whole state. `extra` is any JSON-able dict: what is needed to build the run again."""
    model, optimizer = trainer.model, trainer.optimizer
    meta = {
        "format": FORMAT,
        "model": model.name,
        "options": getattr(model, "options", {}),
        "steps": optimizer.steps,
        "generators": {name: g.bit_generator.state for name, g in model.generators().items()},
        "batches": trainer.batches.state_dict(),
        "extra": extra or {},
    }
    arrays = {MODEL_PREFIX + name: array for name, array in model.state_dict().items()}
    arrays |= {VELOCITY_PREFIX + name: array for name, array in optimizer.state_dict().items()}
    arrays["losses"] = np.array(trainer.losses, np.float64)
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def load(path, trainer):
    """Put a saved state into a Trainer of the same model, options and data. Nothing is changed unless all of it fits.

    Raises: InputError that lists every name, shape and dtype that differs.
    """
    arrays, meta = read(path)
    model, optimizer, batches = trainer.model, trainer.optimizer, trainer.batches
    differences = []
    if meta["model"] != model.name:
        differences.append(f"the model is {model.name} here, {meta['model']} there")
    elif meta["options"] != _as_json(getattr(model, "options", {})):
        differences.append(f"the options are {getattr(model, 'options', {})} here, {meta['options']} there")
    differences += compare(model.params, parameters(arrays))
    differences += [f"velocity of {d}" for d in compare(optimizer.velocity, _velocities(arrays))]
    generators = model.generators()
    differences += [f"generator {n}" for n in sorted(generators.keys() ^ meta["generators"].keys())]
    states = {n: _generator_state(g, meta["generators"].get(n)) for n, g in generators.items()}
    differences += [f"the state of generator {n}" for n in meta["generators"] if states.get(n, ()) is None]
    before = batches.state_dict()
    try:
        batches.load_state_dict(meta["batches"])
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
    """(arrays, meta) of a checkpoint. Raises: InputError when the file is not one."""
    arrays = read_npz(path)
    try:
        meta = json.loads(arrays.pop("meta").tobytes())
    except (KeyError, ValueError, RecursionError):
        meta = None
    if not is_sound(meta) or "losses" not in arrays or arrays["losses"].ndim != 1:
        raise InputError(f"{path} is an archive of arrays but not a checkpoint of format {FORMAT}")
    return arrays, meta


def is_sound(meta):
    """Whether this is what `save` writes about a run."""
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        return False
    return all(key in meta and isinstance(meta[key], kind) for key, kind in _KINDS.items()) and meta["steps"] >= 0


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
    """The saved state if a generator of this kind takes it, else None."""
    try:
        type(generator.bit_generator)().state = state
    except (TypeError, ValueError, KeyError, OverflowError):
        return None
    return state


def _velocities(arrays):
    return {name[len(VELOCITY_PREFIX) :]: array for name, array in arrays.items() if name.startswith(VELOCITY_PREFIX)}


def _as_json(value):
    """The value as it comes back from JSON: tuples are lists."""
    return json.loads(json.dumps(value))
