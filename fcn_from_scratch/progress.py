"""Progress bars, which are shown only on a terminal."""

from tqdm import tqdm


def bar(iterable=None, **options):
    """A tqdm bar on stderr. It is silent when stderr is no terminal but a log or a pipe.

    options   tqdm's options; disable=True silences the bar everywhere
    """
    options = {"disable": False, **options}
    return tqdm(iterable, dynamic_ncols=True, **{**options, "disable": options["disable"] or None})
