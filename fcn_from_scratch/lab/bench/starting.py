"""The processes of a work's rivals, and the reasons of those that cannot run."""

import math
import tempfile
from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.bench import onnx_rival
from fcn_from_scratch.lab.bench.budget import LateError
from fcn_from_scratch.lab.bench.processes import Process
from fcn_from_scratch.lab.bench.rivals import RIVALS
from fcn_from_scratch.progress import bar


class Judge:
    """Computes the scores of a work's network in float64, in a process that ends with the ExitStack.

    The first of settings.judges that can is taken. It starts at once and works until `answer` wants the scores.
    """

    def __init__(self, work, settings, stack):
        self.work, self.settings, self.stack = work, settings, stack
        self.names, self.found = list(settings.judges), None
        self._start()

    def _start(self):
        judge = RIVALS[self.names.pop(0)]
        self.title = f"{judge.title} in float64"
        arguments = self.work._replace(train=False), *judge.arguments, "float64"
        known = {"threads": self.settings.threads, "title": self.title, "wait": False}
        self.process = self.stack.enter_context(Process(judge.make, *arguments, **known))
        self.process.begin("ask", "scores")

    def answer(self, until=math.inf):
        """(the scores, who computed them); the scores are None if they have not come at the time `until`."""
        while self.found is None:
            try:
                self.process.ready(until)
                self.found = self.process.answer(until), self.title
            except InputError:
                if not self.names:
                    raise
                self._start()
            except LateError:
                self.found = None, f"none: {self.title} has not computed them in time"
        self.process.close()
        return self.found


def start(names, work, settings, stack, until=math.inf):
    """Start a process for each rival, all at once. They end with the ExitStack.

    until  a rival that has not started at this time is left out, unless it is the first
    Returns: (a dict name -> Process, a dict title -> why this rival cannot run).
    Raises: InputError or MemoryError of a rival of ours, LateError if the budget is over and the first has not started.
    """
    absent = {}
    plain = [name for name in names if not RIVALS[name].from_file]
    started = {name: stack.enter_context(settings.rival(name, work)) for name in plain}
    path, refusal = _network_file(names, work, stack)  # while the others start
    for name in names:
        if RIVALS[name].from_file and path is None:
            absent[RIVALS[name].title] = refusal
        elif RIVALS[name].from_file:
            started[name] = stack.enter_context(settings.rival(name, work, path))
    started = {name: started[name] for name in names if name in started}
    for name in bar(list(started), disable=not settings.progress, unit="process", desc="starting"):
        try:
            started[name].ready(math.inf if name == settings.rivals[0] else until)
        except (InputError, MemoryError, LateError) as error:
            note(name, error, settings, absent)
            started.pop(name).close()
    return started, absent


def note(name, error, settings, absent):
    """Note in `absent` why a rival cannot run. If it is ours, only a LateError may hinder it, and not the first one:
    any other error is raised again."""
    late = isinstance(error, LateError) and name != settings.rivals[0]
    if name not in settings.peer_rivals and not late:
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
