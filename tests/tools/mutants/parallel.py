"""Mistakes in what splits a batch: threads, micro-batches, MPI ranks; and in the memory they share."""

from planting import Mutant

MICRO = "engine/test_micro_batches.py"
PARALLEL = "lab/mpi/test_parallel.py"
THREADS = "engine/test_threads.py"

MUTANTS = [
    Mutant(
        "a block is lent while a view looks at it",
        "engine.workspace.Workspace.empty",
        "return np.asarray(_Loan(self._part(-(-size // PAGE) * PAGE), self._returned, shape, dtype))",
        "return np.array(_Loan(self._part(-(-size // PAGE) * PAGE), self._returned, shape, dtype)).view()",
        "engine/test_workspace.py",
    ),
    Mutant(
        "what runs meanwhile is left behind",
        "engine.threads.meanwhile",
        "wait([begun])",
        "pass",
        THREADS,
    ),
    Mutant(
        "a new block is only as large as its array",
        "engine.workspace.Workspace._new_block",
        "np.empty(max(size, self.block), np.uint8)",
        "np.empty(size, np.uint8)",
        "engine/test_workspace.py",
    ),
    Mutant(
        "the mean of the parts' means",
        "engine.loss_shares.part_shares",
        "return mine / np.where(whole > 0, whole, 1)",
        "return mine * 0 + 1 / 2",
        PARALLEL,
    ),
    Mutant(
        "parts of a batch drop the same values",
        "engine.micro_batches.MicroBatches.run",
        "layer.skip_before, layer.skip_after = before + part.start, after + total - part.stop",
        "layer.skip_before, layer.skip_after = before, after",
        MICRO,
    ),
    Mutant(
        "the last part's gradient alone",
        "engine.micro_batches.MicroBatches.run",
        "for gradient in grads:",
        "for gradient in grads[-1:]:",
        MICRO,
    ),
    Mutant(
        "a reader's own layers are cut",
        "engine.micro_batches",
        '__module__.partition(".")[0] == PACKAGE',
        "__module__ is not None",
        MICRO,
    ),
    Mutant(
        "a fusion's gradients are not its convolution's",
        "engine.replica._copy",
        "if id(value._grads) not in known:",
        "if True:",
        "engine/test_replica.py",
    ),
    Mutant(
        "replicas share a generator",
        "engine.replica._copy",
        "copy.deepcopy(value)",
        "value",
        "engine/test_replica.py",
    ),
    Mutant(
        "threads wait inside a part",
        "engine.threads.workers",
        "return 1 if _here.busy else most()",
        "return most()",
        THREADS,
    ),
    Mutant(
        "a part is padded to its own size",
        "lab.mpi.parallel.ParallelTrainer._part",
        "size=np.max(sizes, axis=0))",
        "size=None)",
        PARALLEL,
    ),
    Mutant(
        "all ranks drop the same values",
        "lab.mpi.parallel.ParallelTrainer._part",
        "own.start, len(places) - own.stop",
        "0, 0",
        PARALLEL,
    ),
    Mutant(
        "a rank without pictures falls behind",
        "lab.mpi.parallel.ParallelTrainer._part",
        "if None in told:",
        "if False:",
        PARALLEL,
    ),
    Mutant(
        "every rank saves",
        "lab.mpi.parallel.ParallelTrainer.run",
        "save if first else None",
        "save",
        PARALLEL,
    ),
    Mutant(
        "a bucket's end is summed at its beginning",
        "lab.mpi.group.Group.add_up",
        "start += piece.size",
        "start += 0",
        PARALLEL,
    ),
    Mutant(
        "a part's share in itself",
        "engine.loss_shares.of_parts",
        "part_shares(mine, sum(counts))",
        "part_shares(mine, mine)",
        MICRO,
    ),
    Mutant(
        "shares without the class weights",
        "engine.loss_shares._weight",
        "if class_weight is None:",
        "if True:",
        MICRO,
    ),
    Mutant(
        "every head's shares by the first one's class weights",
        "engine.loss_shares.weights",
        "None if head else class_weight",
        "class_weight",
        MICRO,
    ),
    Mutant(
        "a share where nothing counts",
        "engine.loss_shares.part_shares",
        "np.where(whole > 0, whole, 1)",
        "whole",
        MICRO,
    ),
    Mutant(
        "a part's gradient without its share",
        "training.loop.Trainer.loss",
        "dscores *= share",
        "pass",
        MICRO,
    ),
    Mutant(
        "a part's loss without its share",
        "training.loop.Trainer.loss",
        "float(loss) * share,",
        "float(loss),",
        MICRO,
    ),
    Mutant(
        "shares of a sum",
        "engine.loss_shares.of_parts",
        'if reduction == "sum":',
        "if False:",
        MICRO,
    ),
]
