"""`fcn evaluate --save-dir`: the predicted class ids of every picture, as a file."""

from pathlib import PurePosixPath

from fcn_from_scratch import viz
from fcn_from_scratch.backend import to_numpy
from fcn_from_scratch.checks import InputError, printable
from fcn_from_scratch.cli import common
from fcn_from_scratch.cli.apart import Apart


class Predictions:
    """Called with the scores of each picture, it writes their class ids to a folder.

    DIR/NAME.png gets the class ids of the first head as a palette PNG, DIR/HEAD/NAME.png those of each further head.
    The names are those of the data set's pictures, as in the paper's public code.
    """

    def __init__(self, folder, palette, inputs=()):
        """`inputs` are the files that the command reads: none of them is overwritten."""
        self.folder, self.palette, self.written = common.output_folder(folder, "--save-dir"), palette, set()
        self.apart = Apart(inputs, "choose another folder with --save-dir")

    def __call__(self, name, found):
        for place, (head, (scores, _)) in enumerate(found.items()):
            path = self._path(name, head if place else "")
            self.apart([path])
            path.parent.mkdir(parents=True, exist_ok=True)
            viz.save_index_png(path, to_numpy(scores.argmax(axis=1))[0], self.palette)

    def _path(self, name, head):
        """Where the prediction of a picture goes. A list from a stranger must not lead out of the folder."""
        parts = PurePosixPath(str(name).replace("\\", "/")).parts
        if not parts or any(part in ("..", "/") or ":" in part or "\0" in part for part in parts):
            raise InputError(f"the picture's name {name!r} cannot be the name of a file in --save-dir")
        path = self.folder.joinpath(head, *parts[:-1], f"{parts[-1]}.png")
        if path in self.written:
            raise InputError(f"two predictions would be {path}: the data set has two pictures called {name}")
        self.written.add(path)
        return path

    def line(self):
        """What was written, in words."""
        where = printable(str(self.folder))
        return f"wrote the class ids of every picture to {where}/: {len(self.written)} index PNGs"
