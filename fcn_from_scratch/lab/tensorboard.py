"""The rows of a training run for TensorBoard, written by the package tensorboardX."""

from fcn_from_scratch.checks import InputError

SCALARS = ("loss", "lr", "mean_iu", "pixel_accuracy")


class Board:
    """Writes the rows of a training.log.Log as scalars into a folder.

    A resumed run writes another file there. It tells TensorBoard to forget the steps that are computed again.
    Raises: InputError if tensorboardX is not installed.
    """

    def __init__(self, folder):
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise InputError(
                "--tensorboard needs the package tensorboardX: pip install 'fcn_from_scratch[tensorboard]'"
            ) from None
        self.folder, self._make, self._writer = folder, SummaryWriter, None

    def start(self, rows):
        """Begin a file after the steps of these rows. The first file in the folder gets these rows too."""
        before, step = len(list(self.folder.glob("events.out.tfevents.*"))), len(rows) + 1
        first = before == 0
        suffix = f".{before:04}.from_step_{step}"  # a file's name has the time in seconds: two may begin within one
        self._writer = self._make(str(self.folder), purge_step=None if first else step, filename_suffix=suffix)
        for row in rows if first else ():
            self.add(row)

    def add(self, row):
        """Write what a row holds."""
        for name in SCALARS:
            if (value := getattr(row, name)) is not None:
                self._writer.add_scalar(name, value, row.step)

    def flush(self):
        """Write to the disk what still waits."""
        self._writer.flush()

    def close(self):
        """End the file, if one was begun."""
        if self._writer is not None:
            self._writer.close()
