"""Mistakes in the optimiser, the loop, checkpoints and recipes."""

from planting import Mutant

LOOP = "training/test_loop.py"
PARALLEL = "lab/mpi/test_parallel.py"
STEP = "models/test_training_step.py"
RECORD = "training/test_record.py"
LOG = "training/test_log.py"

MUTANTS = [
    Mutant(
        "scoring keeps its workspace",
        "training.evaluation.evaluate_heads",
        "model.train(was_training).use(workspace)",
        "model.train(was_training)",
        "training/test_loop.py",
    ),
    Mutant(
        "decay after momentum",
        "engine.pixelwise.sgd",
        "v += w * decay",
        "w -= w * decay",
        STEP,
    ),
    Mutant(
        "biases decay",
        "training.optim.CAFFE_MULTIPLIERS",
        '"*bias": (2.0, 0.0)',
        '"*bias": (2.0, 1.0)',
        STEP,
    ),
    Mutant(
        "accumulated gradients summed",
        "training.optim.SGD.step",
        "velocity[name], rate / iter_size,",
        "velocity[name], rate,",
        STEP,
    ),
    Mutant(
        "frozen parameters move",
        "training.optim.SGD.step",
        "if name in frozen or lr_mult == 0:",
        "if lr_mult == 0:",
        STEP,
    ),
    Mutant(
        "gradients not reset between steps",
        "training.loop.Trainer.step",
        "self.model.zero_grad()",
        "",
        STEP,
    ),
    Mutant(
        "both heads learn the semantic labels",
        "training.pair_heads.pair_heads",
        "labels[:, head]) for",
        "labels[:, 0]) for",
        "training/test_pair_heads.py",
    ),
    Mutant(
        "a resumed run draws other dropout masks",
        "training.checkpoint.load",
        "generator.bit_generator.state = states[name]",
        "pass",
        STEP,
    ),
    Mutant(
        "a resumed run starts its schedule again",
        "training.checkpoint.load",
        '_velocities(arrays), meta["steps"])',
        "_velocities(arrays), 0)",
        STEP,
    ),
    Mutant(
        "a resumed run draws the first batches again",
        "training.checkpoint.load",
        "batches.load_state_dict(state)",
        "pass",
        STEP,
    ),
    Mutant(
        "a part's share of a rank's share is forgotten",
        "engine.loss_shares.of_parts",
        "each if shares is None else each * shares",
        "each",
        PARALLEL,
    ),
    Mutant(
        "evaluated with dropout",
        "training.evaluation.evaluate_heads",
        "model.eval().use",
        "model.use",
        "training",
    ),
    Mutant(
        "FCN-8s at FCN-16s's rate",
        "training.recipes.RECIPES",
        'model="fcn8s", lr=1e-14, start="fcn16s-heavy"',
        'model="fcn8s", lr=1e-12, start="fcn16s-heavy"',
        "training/test_recipes.py",
    ),
    Mutant(
        "a step before backward",
        "training.loop.Trainer.step",
        """
            self.model.zero_grad()
            loss = self.over_batches(self._objective()) / self.iter_size
            self.loss_check.require(loss)
            if self.before_update is not None:
                self.before_update(loss)
            self._before, self.moving = None, True
            self.optimizer.step(self.iter_size)
        """,
        """
            self.model.zero_grad()
            self.optimizer.step(self.iter_size)
            loss = self.over_batches(self._objective()) / self.iter_size
            self.loss_check.require(loss)
            if self.before_update is not None:
                self.before_update(loss)
            self._before, self.moving = None, True
        """,
        LOOP,
    ),
    Mutant(
        "a step by a loss that is not finite",
        "training.loop.Trainer.step",
        "self.loss_check.require(loss)",
        "pass",
        LOOP,
    ),
    Mutant(
        "losses of several batches summed",
        "training.loop.Trainer.step",
        "self.over_batches(self._objective()) / self.iter_size",
        "self.over_batches(self._objective())",
        LOOP,
    ),
    Mutant(
        "a step leaves what forward kept",
        "training.objective.Objective.__call__",
        "fused.unobserved(model), ",
        "",
        "engine/test_micro_batches.py",
    ),
    Mutant(
        "every head by the first one's class weights",
        "training.objective.Objective.loss",
        "(self.class_weight, *(None,) * (len(pairs) - 1))",
        "(self.class_weight,) * len(pairs)",
        "engine/test_micro_batches.py",
    ),
    Mutant(
        "a run begins in eval mode",
        "training.loop.Trainer.run",
        "self.model.train()",
        "",
        LOOP,
    ),
    Mutant(
        "rows of lost steps stay in the log",
        "training.record.Record.start",
        "recovered(path, self.trainer.losses, self.trainer.optimizer.schedule)",
        "recovered(path, [*self.trainer.losses, 0.0], self.trainer.optimizer.schedule)",
        RECORD,
    ),
    Mutant(
        "a part of a row is read as a row",
        "training.log.read",
        """content.split("\\n")[:-1]""",
        """content.split("\\n")""",
        LOG,
    ),
    Mutant(
        "the log has the rate of the next step",
        "training.record.Record.__call__",
        "schedule(step - 1)",
        "schedule(step)",
        RECORD,
    ),
    Mutant(
        "the last of equal scores is the best",
        "training.record.Record._keep_best",
        "if not score > (",
        "if not score >= (",
        RECORD,
    ),
    Mutant(
        "the best is the latest",
        "training.record.Record._keep_best",
        'self.best["mean_iu"] if self.best else -1',
        "-1",
        RECORD,
    ),
    Mutant(
        "a process that was killed before it copied the best never does",
        "training.record.Record.start",
        """
            if self.best and self.best["step"] == self.trainer.steps:
                self._copy_best()
        """,
        "",
        RECORD,
    ),
    Mutant(
        "a checkpoint does not wait for its rows",
        "training.record.Record.__call__",
        """
            self.log.add(row)
            if self.board is not None:
                self.board.add(row)
            self._keep_best(scores)
        """,
        """
            self._keep_best(scores)
            self.log.add(row)
            if self.board is not None:
                self.board.add(row)
        """,
        RECORD,
    ),
    Mutant(
        "a checkpoint of a step holds the batches after it",
        "training.loop.Trainer.position",
        "if self._before is not None:",
        "if False:",
        "training/test_endings.py",
    ),
    Mutant(
        "a diverged run is saved",
        "training.keeper.Keeper.__exit__",
        "isinstance(error, DivergedError)",
        "False",
        "training/test_endings.py",
    ),
    Mutant(
        "weights that are not finite are saved",
        "training.checkpoint.save",
        "if found := finite.wrong(arrays):",
        "if found := []:",
        "training/test_endings.py",
    ),
    Mutant(
        "the digest leaves out the names",
        "training.checkpoint.digest",
        'f"{name} {array.dtype.str} {array.shape} "',
        'f"{array.dtype.str} {array.shape} "',
        "training/test_endings.py",
    ),
    Mutant(
        "the first snapshots are kept, not the last",
        "training.record.Record._snapshot",
        "snapshots(self.folder)[: -self.keep]",
        "snapshots(self.folder)[self.keep :]",
        "cli/test_snapshots.py",
    ),
    Mutant(
        "a snapshot without its checkpoint",
        "training.record.Record._snapshot",
        """
            if self.saved != step:
                self.save()
        """,
        "",
        "cli/test_snapshots.py",
    ),
    Mutant(
        "the loss of a data set weights its pictures by their size",
        "training.picture_losses.PictureLosses.__call__",
        "loss / max(pixels, 1)",
        "loss",
        "cli/test_predictions.py",
    ),
]
