"""Progress bars for people: on a terminal, and nowhere else."""

from tqdm import tqdm


def bar(iterable=None, **options):
    """A tqdm bar on stderr that stays silent when stderr is not a terminal (a log, a pipe), unless told otherwise.

    options   tqdm's; disable=True silences it everywhere
    """
    options = {"disable": False, **options}
    return tqdm(iterable, dynamic_ncols=True, **{**options, "disable": options["disable"] or None})
