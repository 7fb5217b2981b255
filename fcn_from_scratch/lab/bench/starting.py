"""The processes of a work's rivals, and the reasons of those that cannot run."""

import tempfile
from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.bench import onnx_rival
from fcn_from_scratch.lab.bench.processes import Process
from fcn_from_scratch.lab.bench.rivals import RIVALS


def true_scores(work, settings):
    """(scores of the work's network in float64, who computed them): by the first of the judges that can."""
    for name in settings.judges:
        judge = RIVALS[name]
        title = f"{judge.title} in float64"
        arguments = work._replace(train=False), *judge.arguments, "float64"
        try:
            with Process(judge.make, *arguments, threads=settings.threads, title=title) as process:
                return process.ask("scores"), title
        except InputError:
            if name == settings.judges[-1]:
                raise


def start(names, work, settings, stack):
    """Start a process for each rival. They end with the ExitStack.

    Returns: (a dict name -> Process, a dict title -> why this rival cannot run). A rival of ours must run.
    Raises: InputError or MemoryError of a rival of ours.
    """
    path, refusal = _network_file(names, work, stack)
    started, absent = {}, {}
    for name in names:
        if RIVALS[name].from_file and path is None:
            absent[RIVALS[name].title] = refusal
            continue
        try:
            started[name] = stack.enter_context(settings.rival(name, work, path))
        except (InputError, MemoryError) as error:
            note(name, error, settings, absent)
    return started, absent


def note(name, error, settings, absent):
    """Note in `absent` why a rival cannot run; raise the error again if it is ours."""
    if name not in settings.peer_rivals:
        raise error
    absent[RIVALS[name].title] = str(error).removeprefix(f"{RIVALS[name].title}: ")


def _network_file(names, work, stack):
    """(path of the network as an ONNX file, None), or (None, why there is none). The file is deleted with the stack."""
    if not any(RIVALS[name].from_file for name in names):
        return None, None
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fcn_bench_"))
    path = Path(folder, "network.onnx")
    try:
        onnx_rival.write(work, path)
    except InputError as error:
        return None, str(error)
    return path, None
