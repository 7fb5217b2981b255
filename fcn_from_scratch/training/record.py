"""What a training run leaves in its folder: its state, its best state, and its log."""

import re
import shutil
import time

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.files import sweep, write_atomically
from fcn_from_scratch.training import checkpoint
from fcn_from_scratch.training.log import Log, Row, recovered
from fcn_from_scratch.training.meta import BEST_SCORE

CHECKPOINT, BEST, LOG = "checkpoint.npz", "best.npz", "log.csv"
SNAPSHOT = "checkpoint-{}.npz"  # of a step


class Record:
    """Scores a network while it trains, and writes checkpoint.npz, best.npz and log.csv.

        record = Record(trainer, folder, lambda: evaluate_heads(model, validation), every=100, last=steps)
        record.start()
        trainer.run(steps, save=record.save, watch=record)

    trainer  a training.loop.Trainer
    folder   where the files are written; None writes none (a process of several, but not the first)
    score    a function that scores the network: dict name of the head -> ConfusionMatrix
    every    score after every so many steps; None scores after the last step only
    last     the number of the last step. The network is always scored after it
    extra    what the checkpoints keep beside the state
    board    also gets every row, by add(row) and flush() (lab.tensorboard); None: nobody does
    snapshot keep the checkpoint of every so many steps, as checkpoint-STEP.npz; None keeps none
    keep     of these, only the last so many stay; None keeps all
    lock     the lock.FolderLock of the folder; None: nobody else writes there

    best.npz is the checkpoint with the best validation mean IU so far; of equal ones, the first. A network with several
    heads is judged by its first head.
    Attributes: log; saved, the step of the last checkpoint, or None; moved, whether the folder has turned out to be
    another one; best, a dict with its step and mean_iu, or None;
    matrices of the latest scores.
    Scoring takes no random numbers, so the weights do not depend on `every`  (tests/training/test_record.py).
    After kill -9 at any moment, best.npz and the snapshots are never ahead of checkpoint.npz, and log.csv has all its
    rows.
    """

    def __init__(
        self, trainer, folder, score, every=None, last=None, extra=None, board=None, snapshot=None, keep=None, lock=None
    ):
        self.trainer, self.folder, self.score = trainer, folder, score
        self.every, self.last, self.extra, self.board = every, last, extra or {}, board
        self.snapshot, self.keep, self.lock = snapshot, keep, lock
        self.log, self.best, self.matrices = None, None, None
        self.saved, self.moved = None, False
        self._scored_at, self._text = None, ""

    def start(self, saved=None):
        """Begin the log; or go on with that of a loaded checkpoint, whose extra is `saved`."""
        path, rows = None if self.folder is None else self.folder / LOG, []
        if self.folder is not None:
            sweep(self.folder)
            checkpoint.facts(self.trainer, self._kept())  # what cannot be read back is found before the first step
        if saved is not None and path is not None:
            rows = recovered(path, self.trainer.losses, self.trainer.optimizer.schedule)
        self.best = _sound(saved or {})
        self.saved = None if saved is None else self.trainer.steps
        self.log = Log(path, rows)
        if self.best and self.best["step"] == self.trainer.steps:
            self._copy_best()  # the process may have been killed before it did
        if saved is not None:
            self._snapshot()  # likewise
        if self.board is not None:
            self.board.start(rows)
        before = rows[-1].seconds if rows else 0.0
        self._began = time.monotonic() - (before or 0.0)
        if rows and rows[-1].mean_iu is None and self._due(self.trainer.steps):
            self.finish()  # a signal came while the network was scored

    def save(self):
        """Write the checkpoint."""
        if self.folder is None:
            return
        self._require_folder()
        self.log.sync()
        if self.board is not None:
            self.board.flush()
        checkpoint.save(self.folder / CHECKPOINT, self.trainer, self._kept())
        self.saved = self.trainer.steps

    def _kept(self):
        return {**self.extra, "best": self.best}

    def _require_folder(self):
        """If somebody removed the folder while the run went on, it is made again, with the log of all steps."""
        if self.folder is None or self.lock is None:
            return
        try:
            made_again = self.lock.require_folder()
        except InputError:
            self.moved = True
            raise
        if made_again:
            self.saved = self.best = None
            self.log.write_all()

    def __call__(self, trainer):
        """After a step: score the network if it is time, and log the step. Returns: the latest mean IU, as a text."""
        self._require_folder()
        step = trainer.steps
        row = Row(step, trainer.losses[-1], trainer.optimizer.schedule(step - 1))
        try:
            scores = self._scores() if self._due(step) else {}
        except BaseException:
            self.log.add(row._replace(seconds=time.monotonic() - self._began))
            raise
        row = row._replace(seconds=time.monotonic() - self._began, **scores)
        self.log.add(row)
        if self.board is not None:
            self.board.add(row)
        self._keep_best(scores)
        self._snapshot()
        return self._text

    def finish(self):
        """The scores at the end: dict name of the head -> ConfusionMatrix. Scores now if a resumed run did no step."""
        if self._scored_at != self.trainer.steps:
            scores = self._scores()
            if self.log.rows:
                self.log.score(**scores)
            self._keep_best(scores)
        return self.matrices

    def _due(self, step):
        """Whether the network is scored after this step."""
        return step == self.last or bool(self.every and step % self.every == 0)

    def _scores(self):
        self.matrices, self._scored_at = self.score(), self.trainer.steps
        numbers = next(iter(self.matrices.values())).scores()
        self._text = f", mean IU {100 * numbers['mean_iu']:.1f} %"
        return {name: numbers[name] for name in ("mean_iu", "pixel_accuracy")}

    def _keep_best(self, scores):
        """Write the checkpoint, then copy it. In this order best.npz is never ahead of checkpoint.npz."""
        score = scores.get("mean_iu", float("nan"))
        if not score > (self.best["mean_iu"] if self.best else -1):  # NaN is not the best either
            return
        self.best = {"step": self.trainer.steps, "mean_iu": score}
        self.save()
        self._copy_best()

    def _copy_best(self):
        self._copy(BEST)

    def _copy(self, name):
        if self.folder is not None:
            with (self.folder / CHECKPOINT).open("rb") as source:
                write_atomically(self.folder / name, lambda file: shutil.copyfileobj(source, file))

    def _snapshot(self):
        """Keep the checkpoint of this step, if it is time, and remove those before the last ones.

        The checkpoint is written first, so a snapshot is never ahead of it. A resumed run makes one that is missing.
        """
        step = self.trainer.steps
        if self.folder is None or not self.snapshot or not step or step % self.snapshot:
            return
        if self.saved != step:
            self.save()
        if not (self.folder / SNAPSHOT.format(step)).exists():
            self._copy(SNAPSHOT.format(step))
        for old in snapshots(self.folder)[: -self.keep] if self.keep else ():
            old.unlink()


def snapshots(folder):
    """The paths of the snapshots in a run's folder, in the order of their steps."""
    found = {path: re.fullmatch(SNAPSHOT.format(r"(\d+)"), path.name) for path in folder.glob("checkpoint-*.npz")}
    return sorted((path for path, match in found.items() if match), key=lambda path: int(found[path][1]))


def _sound(extra):
    """The best score that a checkpoint records; None if it records none."""
    best = extra.get("best")
    return best if BEST_SCORE.holds(best) else None
