"""Mistakes in the layers' contract, and in the layers that join others."""

from planting import Mutant

CHAINS = "layers/test_contract_in_chains.py"
CONTRACT = "layers/test_contract.py"
PREPARE = "layers/test_prepare.py"
RUNS = "layers/test_fused.py"
WINO_WIDE = "engine/test_winograd_wide.py"

MUTANTS = [
    Mutant(
        "a tap within a group is lost",
        "layers.fused.groups",
        "if name in taps), length)",
        "if name in ()), length)",
        RUNS,
    ),
    Mutant(
        "a state is loaded into prepared weights",
        "layers.base.Layer.load_state_dict",
        "self.prepare(False)",
        "",
        PREPARE,
    ),
    Mutant(
        "gradients overwritten",
        "layers.base.Layer.accumulate",
        "self.gradient_of(name)[...] += gradient",
        "self.gradient_of(name)[...] = gradient",
        CONTRACT,
    ),
    Mutant(
        "eval mode keeps its input",
        "layers.base.Layer.remember",
        "(cache, shape) if self.training else (None, None)",
        "cache, shape",
        CONTRACT,
    ),
    Mutant(
        "a state of another shape is broadcast",
        "layers.base.Layer.load_state_dict",
        "if tuple(ours.shape) != tuple(np.shape(theirs)):",
        "if np.size(ours) < np.size(theirs):",
        "layers/test_base.py",
    ),
    Mutant(
        "a crop's gradient one column off",
        "ops.crop.crop_backward",
        "dx[:, :, oy : oy + h, ox : ox + w] = dy",
        "dx[:, :, oy : oy + h, ox : ox + w] = np.roll(dy, 1, -1)",
        "ops/test_crop.py",
    ),
    Mutant(
        "crop offsets exchanged",
        "ops.crop.crop",
        "return x[:, :, oy : oy + h, ox : ox + w]",
        "return x[:, :, ox : ox + h, oy : oy + w]",
        "ops/test_crop.py layers/test_fusion.py",
    ),
    Mutant(
        "scores scaled, not features",
        "layers.fusion.SkipFusion.forward",
        "fine = self.score(_scaled(skip, self.scale))",
        "fine = _scaled(self.score(skip), self.scale)",
        "layers/test_fusion.py",
    ),
    Mutant(
        "the skip's gradient not scaled",
        "layers.fusion.SkipFusion._backward",
        "return dscores, _scaled(dskip, self.scale)",
        "return dscores, dskip",
        "layers/test_fusion.py",
    ),
    Mutant(
        "negative offsets not cropped",
        "layers.fusion.SkipFusion.forward",
        "cut_coarse = tuple(max(-o, 0) for o in self.offset)",
        "cut_coarse = tuple(0 for o in self.offset)",
        "layers/test_fusion.py",
    ),
    Mutant(
        "a skip that starts at one",
        "layers.fusion.SkipFusion.__init__",
        "array[...] = 0",
        "array[...] = 1",
        "layers/test_fusion.py",
    ),
    Mutant(
        "eval mode keeps what forward kept before",
        "layers.base.Layer.train",
        "self._cache = None",
        "pass",
        CONTRACT,
    ),
    Mutant(
        "only one branch's gradient comes back",
        "layers.branches.Branches.backward",
        "return sum(branch.backward(part) for branch, part in zip(self.branches, self.output.backward(dy)))",
        "return [branch.backward(part) for branch, part in zip(self.branches, self.output.backward(dy))][-1]",
        "layers/test_branches.py",
    ),
    Mutant(
        "every branch gets the first channels of dy",
        "layers.fusion.Concat._backward",
        "tuple(dy[:, end - count : end] for",
        "tuple(dy[:, :count] for",
        "layers/test_branches.py",
    ),
    Mutant(
        "scores that start with the skip keep their size",
        "layers.fusion.SkipFusion.forward",
        "c if o > 0 else f if o < 0 else min(c, f)",
        "f if o < 0 else c",
        "layers/test_fusion.py",
    ),
    Mutant(
        "a pool is fused where a layer may be asked",
        "layers.fused._may_pool",
        "return _unobserved.get() or not any(layer.training for layer in layers)",
        "return True",
        CHAINS,
    ),
    Mutant(
        "pools stay fused after the step",
        "layers.fused.unobserved",
        "_unobserved.reset(token)",
        "pass",
        RUNS,
    ),
    Mutant(
        "a network remembers after the step",
        "layers.fused.unobserved",
        "model.forget()",
        "pass",
        RUNS,
    ),
    Mutant(
        "a fused ReLU remembers its input",
        "layers.fused.run",
        "relu.remember((y,), y.shape)",
        "relu.remember((x,), y.shape)",
        CHAINS,
    ),
    Mutant(
        "a fused ReLU passes every gradient",
        "layers.fused.run",
        "relu.remember((y,), y.shape)",
        "relu.remember((), y.shape)",
        CHAINS,
    ),
    Mutant(
        "a fused pool keeps its winners for itself",
        "layers.fused.run",
        "pool.remember(pool.keep(winner if kept else None, shape), y.shape)",
        "pool.remember((winner, shape), y.shape)",
        RUNS,
    ),
    Mutant(
        "a ReLU whose forward was replaced is fused",
        "layers.fused._joint",
        "type(layer) if METHODS.isdisjoint(vars(layer)) else None",
        "type(layer)",
        RUNS,
    ),
    Mutant(
        "a tapped map of a whole group is lost",
        "layers.fused.forward",
        "if names[-1] in taps:",
        "if names[0] in taps:",
        RUNS,
    ),
    Mutant(
        "an error does not say which layer it was",
        "checks.naming.__exit__",
        "self.layer.label not in str(error)",
        "False",
        "layers/test_errors_name_layers.py",
    ),
]
