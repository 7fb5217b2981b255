"""The process that computes parts of a batch for another one: see part_processes."""

import os
import sys

import numpy as np

from fcn_from_scratch.backend import plain
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.channel import Channel
from fcn_from_scratch.engine.loss_shares import leaves
from fcn_from_scratch.engine.replica import with_gradients
from fcn_from_scratch.engine.workspace import Workspace


def serve(memory_of_requests, memory_of_answers, pipe_of_answers):
    """Answer requests until the other process closes the pipe or ends. An answer is None if the work failed here."""
    requests = Channel(sys.stdin.buffer, memory_of_requests)
    answers = Channel(os.fdopen(pipe_of_answers, "wb"), memory_of_answers)
    workspace = Workspace()
    try:
        while True:
            answers.send(*_answer(requests, workspace))
    finally:
        os._exit(0)  # nothing here needs to be saved, and the other process waits for the end


def _answer(requests, workspace):
    """Return (the answer, how many of the answers before it are still needed; None: all)."""
    keep = None
    try:
        work, model, arguments, errors, keep = requests.receive()
        if model is None:  # the first request: only to import what the work needs
            return threads.blas_kernel(), keep
        with plain(False), np.errstate(**errors):
            result = threads.as_item(lambda: work(with_gradients(model).use(workspace), *arguments))
        return (result, [layer.grads for layer in leaves(model)]), keep
    except EOFError:
        raise
    except Exception:  # the other process does the work itself, and meets the error there
        return None, keep
