"""Does the suite notice? One small mistake at a time is put into a copy of the package, and the tests must fail.

python tests/mutants.py                 all of them: a table, and exit status 1 if one survives
python tests/mutants.py --list          their names, and where each stands
python tests/mutants.py --only groups   those whose name contains the word
python tests/mutants.py --jobs 2        so many at once

The working tree is never touched: each mutant lives in a temporary folder of its own. Neither PyTorch nor a GPU is
asked (tests with these marks, and slow ones, are left out): the suite has to notice without them.
test_mutants.py, which runs with the suite, sees to it that every mutant still fits the source.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "fcn_from_scratch"
TIME_LIMIT = 600  # seconds for the tests of one mutant: what hangs is noticed too


class Mutant(NamedTuple):
    """A mistake: in `file`, the only occurrence of `text` becomes `replacement`; `tests` must notice."""

    name: str
    file: str
    text: str
    replacement: str
    tests: str  # pytest's arguments below tests/


CONV = "ops/test_conv.py"
POOL = "ops/test_pooling.py"
LOSS = "ops/test_loss.py"
UPSAMPLE = "ops/test_upsample.py"
CONTRACT = "layers/test_contract.py"
STEP = "models/test_training_step.py"

MUTANTS = [
    # convolution
    Mutant(
        "flipped dy in the weight's gradient",
        "ops/conv.py",
        "source[image, rows, :, outputs].reshape(-1, f // groups)",
        "source[image, rows, ::-1, outputs].reshape(-1, f // groups)",
        CONV,
    ),
    Mutant(
        "flipped dy in the layer",
        "layers/conv.py",
        "self.backward_params(dy)",
        "self.backward_params(dy[:, :, ::-1])",
        CONTRACT,
    ),
    Mutant("kernel turned about one axis only", "ops/conv.py", "grouped[..., ::-1, ::-1]", "grouped[..., ::-1]", CONV),
    Mutant(
        "groups mixed",
        "ops/conv.py",
        "slice(g * per_group, (g + 1) * per_group)",
        "slice((groups - 1 - g) * per_group, (groups - g) * per_group)",
        CONV,
    ),
    Mutant(
        "every group gets the first one's bias",
        "ops/conv.py",
        "product += bias[outputs]",
        "product += bias[: f // groups]",
        CONV,
    ),
    Mutant(
        "bias gradient without the batch (op)",
        "ops/conv.py",
        "return dx, conv2d_weight_grad(dy, x, *args), dy.sum(axis=(0, 2, 3))",
        "return dx, conv2d_weight_grad(dy, x, *args), dy.sum(axis=(2, 3))[0]",
        CONV,
    ),
    Mutant(
        "bias gradient without the batch (layer)",
        "layers/conv.py",
        'self.accumulate("bias", dy.sum(axis=(0, 2, 3)))',
        'self.accumulate("bias", dy.sum(axis=(2, 3))[0])',
        CONTRACT,
    ),
    Mutant(
        "blocks start at the output's row",
        "ops/im2col.py",
        "padded[:, rows.start * sh :]",
        "padded[:, rows.start :]",
        "layers/test_conv.py",
    ),
    Mutant("dilations exchanged", "ops/im2col.py", "full[:, :, ::dh, ::dw]", "full[:, :, ::dw, ::dh]", CONV),
    Mutant(
        "overlaps overwrite", "ops/im2col.py", "target += cells", "target[...] = cells", "ops/test_conv_transpose.py"
    ),
    Mutant(
        "stride forgotten in the layer",
        "layers/conv.py",
        "return self.stride, self.padding, self.dilation, self.groups",
        "return self.stride[::-1], self.padding, self.dilation, self.groups",
        "layers/test_conv.py",
    ),
    # transposed convolution and other upsampling
    Mutant(
        "transposed convolution with swapped channels (op)",
        "ops/conv_transpose.py",
        "spread(channels_last(x, dtype=dtype), weight, stride,",
        "spread(channels_last(x, dtype=dtype), weight.reshape(weight.shape[1], weight.shape[0], "
        "*weight.shape[2:]).swapaxes(0, 1), stride,",
        "ops/test_conv_transpose.py",
    ),
    Mutant(
        "transposed convolution with swapped channels (layer)",
        "layers/conv.py",
        "shape = (in_channels, out_channels, *self.kernel_size)",
        "shape = (out_channels, in_channels, *self.kernel_size)",
        "layers/test_conv.py",
    ),
    Mutant(
        "transposed convolution's weight gradient with x and dy exchanged",
        "ops/conv_transpose.py",
        "dweight = conv2d_weight_grad(x, dy, weight, stride, padding)",
        "dweight = conv2d_weight_grad(x, dy[..., ::-1], weight, stride, padding)",
        "ops/test_conv_transpose.py",
    ),
    Mutant(
        "bilinear kernels between all classes",
        "layers/conv.py",
        "weight[diagonal, diagonal] = xp",
        "weight[:] = xp",
        "layers/test_conv.py",
    ),
    Mutant(
        "bilinear centre of odd kernels half a pixel off",
        "ops/upsample.py",
        "centre = factor - 1 if size % 2 else factor - 0.5",
        "centre = factor - 0.5",
        UPSAMPLE,
    ),
    Mutant(
        "nearest neighbour's gradient averaged",
        "ops/upsample.py",
        "return _cells(dy, scale).sum(axis=(3, 5))",
        "return _cells(dy, scale).mean(axis=(3, 5))",
        UPSAMPLE,
    ),
    Mutant(
        "corners aligned by the pixel count",
        "ops/upsample.py",
        "(n - 1) / (m - 1)",
        "n / m",
        UPSAMPLE,
    ),
    # pooling
    Mutant("max-pool ties go to the last", "ops/pooling.py", "(tap > y)", "(tap >= y)", POOL),
    Mutant("padding wins a max-pool", "ops/pooling.py", "lowest = -np.inf if", "lowest = 0 if", POOL),
    Mutant(
        "max-pool positions count in heights",
        "ops/pooling.py",
        "dh, dw), width = window.kernel_size, window.dilation, window.size[1]",
        "dh, dw), width = window.kernel_size, window.dilation, window.size[0]",
        POOL,
    ),
    Mutant(
        "a pixel that won twice is paid once",
        "ops/pooling.py",
        "xp.add.at(dx, flat.ravel(), dy.transpose(0, 2, 3, 1).ravel())",
        "dx[flat.ravel()] = dy.transpose(0, 2, 3, 1).ravel()",
        POOL,
    ),
    Mutant(
        "average counts beyond the padding",
        "ops/pooling.py",
        "end = np.minimum(start + k, n + p)",
        "end = start + k",
        POOL,
    ),
    Mutant("ceil and floor swapped", "ops/shapes.py", "out = -(-room // stride) + 1", "out = room // stride + 1", POOL),
    Mutant(
        "a window beyond the image counts",
        "ops/shapes.py",
        "if (out - 1) * stride >= size + padding:",
        "if (out - 1) * stride > size + padding:",
        POOL,
    ),
    Mutant(
        "the networks' pools round down",
        "models/trunk.py",
        "MaxPool2d(2, ceil_mode=True",
        "MaxPool2d(2, ceil_mode=False",
        "models/test_alignment.py",
    ),
    # pixel by pixel, normalisation
    Mutant(
        "ReLU passes a gradient at zero",
        "ops/activation.py",
        "return dy * (y > 0)",
        "return dy * (y >= 0)",
        "ops/test_activation.py",
    ),
    Mutant(
        "dropout does not scale up",
        "ops/activation.py",
        "get_array_module(x), x)) / (1 - p)",
        "get_array_module(x), x))",
        "ops/test_activation.py",
    ),
    Mutant(
        "dropout in eval mode",
        "layers/activation.py",
        "if not self.training or self.p == 0:",
        "if self.p == 0:",
        "layers/test_activation.py",
    ),
    Mutant(
        "dropout scales its gradient by a later p",
        "layers/activation.py",
        "return ops.dropout_backward(dy, *cache) if cache else dy",
        "return ops.dropout_backward(dy, cache[0], self.p) if cache else dy",
        "layers/test_activation.py",
    ),
    Mutant(
        "channel dropout drops whole images",
        "layers/activation.py",
        "return x.shape[:2]",
        "return (x.shape[0], 1)",
        "layers/test_activation.py",
    ),
    Mutant(
        "response window not mirrored in backward",
        "ops/normalization.py",
        "energy, (size - 1) // 2, size // 2)",
        "energy, size // 2, (size - 1) // 2)",
        "ops/test_normalization.py",
    ),
    Mutant(
        "alpha not divided by the window",
        "ops/normalization.py",
        "return k + (alpha / size) *",
        "return k + alpha *",
        "ops/test_normalization.py",
    ),
    # loss
    Mutant(
        "ignored pixels counted in the mean",
        "ops/loss.py",
        "divisor = value.sum(dtype=np.float64) if",
        "divisor = np.float64(value.size) if",
        LOSS,
    ),
    Mutant(
        "ignored pixels get a gradient",
        "ops/loss.py",
        "value = counted.astype(scores.dtype)",
        "value = (counted | True).astype(scores.dtype)",
        LOSS,
    ),
    Mutant("sum divided by the images", "ops/loss.py", "else np.float64(1)", "else np.float64(len(scores))", LOSS),
    Mutant(
        "class weights not in the gradient",
        "ops/loss.py",
        "factor = (value / divisor)",
        "factor = (counts / divisor)",
        LOSS,
    ),
    Mutant(
        "large scores overflow",
        "ops/loss.py",
        "shifted = scores - scores.max(axis=1, keepdims=True)",
        "shifted = scores",
        LOSS,
    ),
    Mutant(
        "class 0 taken for the ignore label",
        "ops/loss.py",
        "counted = labels != ignore_index",
        "counted = (labels != ignore_index) & (labels > 0)",
        LOSS,
    ),
    Mutant("an id too large let through", "checks.py", "(labels >= num_classes)", "(labels > num_classes)", LOSS),
    # the layer contract
    Mutant(
        "gradients overwritten",
        "layers/base.py",
        "self.grads[name] += gradient",
        "self.grads[name][...] = gradient",
        CONTRACT,
    ),
    Mutant(
        "eval mode keeps its input",
        "layers/base.py",
        "self._cache = cache if self.training else None",
        "self._cache = cache",
        CONTRACT,
    ),
    Mutant(
        "a state of another shape is broadcast",
        "layers/base.py",
        "if tuple(ours.shape) != tuple(np.shape(theirs)):",
        "if np.size(ours) < np.size(theirs):",
        "layers/test_base.py",
    ),
    Mutant(
        "a crop's gradient one column off",
        "ops/crop.py",
        "dx[:, :, oy : oy + h, ox : ox + w] = dy",
        "dx[:, :, oy : oy + h, ox : ox + w] = np.roll(dy, 1, -1)",
        "ops/test_crop.py",
    ),
    Mutant(
        "crop offsets exchanged",
        "ops/crop.py",
        "return x[:, :, oy : oy + h, ox : ox + w]",
        "return x[:, :, ox : ox + h, oy : oy + w]",
        "ops/test_crop.py layers/test_fusion.py",
    ),
    Mutant(
        "scores scaled, not features",
        "layers/fusion.py",
        "fine = self.score(self._scaled(skip))",
        "fine = self._scaled(self.score(skip))",
        "layers/test_fusion.py",
    ),
    Mutant(
        "the skip's gradient not scaled",
        "layers/fusion.py",
        "return dscores, self._scaled(dskip)",
        "return dscores, dskip",
        "layers/test_fusion.py",
    ),
    Mutant(
        "negative offsets not cropped",
        "layers/fusion.py",
        "cut_coarse = tuple(max(-o, 0) for o in self.offset)",
        "cut_coarse = tuple(0 for o in self.offset)",
        "layers/test_fusion.py",
    ),
    Mutant(
        "a skip that starts at one", "layers/fusion.py", "array[...] = 0", "array[...] = 1", "layers/test_fusion.py"
    ),
    Mutant("eval mode keeps what forward kept before", "layers/base.py", "if not mode:", "if mode:", CONTRACT),
    # geometry and models
    Mutant(
        "off-by-one crop",
        "geometry/fields.py",
        "offset = (there.start - here.start) / here.stride",
        "offset = (there.start - here.start) / here.stride + 1",
        "test_geometry.py",
    ),
    Mutant(
        "crops rounded",
        "geometry/fields.py",
        "if offset.denominator != 1:",
        "if not offset.denominator:",
        "test_geometry.py",
    ),
    Mutant(
        "padding moves the grid the wrong way",
        "geometry/fields.py",
        "centre = Fraction(reach, 2) - layer.padding[number]",
        "centre = Fraction(reach, 2) + layer.padding[number]",
        "test_geometry.py",
    ),
    Mutant(
        "dilation does not widen the field",
        "geometry/fields.py",
        "reach = dilation * (layer",
        "reach = (layer",
        "test_geometry.py",
    ),
    Mutant(
        "upsampling's shift in coarse pixels",
        "geometry/fields.py",
        "start - (Fraction(k - 1, 2) - p) * finer)",
        "start - (Fraction(k - 1, 2) - p) * stride)",
        "test_geometry.py",
    ),
    Mutant(
        "a skip's grid starts where the earlier map does",
        "geometry/fields.py",
        "a.stride, max(a.start, b.start))",
        "a.stride, min(a.start, b.start))",
        "models/test_alignment.py test_geometry.py",
    ),
    Mutant(
        "a fork's gradient dropped",
        "models/trunk.py",
        "return dy + dmaps[key] if key in dmaps else dy",
        "return dy",
        "models/test_gradients.py",
    ),
    Mutant(
        "a fork's other gradient dropped",
        "models/trunk.py",
        "return dy + dmaps[key] if key in dmaps else dy",
        "return dmaps[key] if key in dmaps else dy",
        "models/test_gradients.py",
    ),
    Mutant("score_fr starts at one", "models/fcn.py", "array[...] = 0", "array[...] = 1", "models/test_gradients.py"),
    Mutant(
        "a frozen trunk drops out",
        "models/fcn.py",
        "self.trunk.train(False)",
        "self.trunk.train(mode)",
        "models/test_gradients.py",
    ),
    Mutant(
        "learned kernels thrown away",
        "models/fcn.py",
        " or not np.allclose(weight, expected, atol=1e-6)",
        "",
        "models/test_surgery.py",
    ),
    Mutant(
        "twofold upsampling starts at random",
        "models/fcn.py",
        "return layer.init_bilinear()",
        "return layer",
        "models/test_build.py models/test_surgery.py",
    ),
    Mutant(
        "at-once scales exchanged",
        "models/vgg.py",
        "AT_ONCE_SCALES = (0.01, 0.0001)",
        "AT_ONCE_SCALES = (0.0001, 0.01)",
        "models/test_build.py",
    ),
    Mutant(
        "fc6 reshaped column by column",
        "models/surgery.py",
        "np.reshape(array, target[name].shape)",
        'np.reshape(array, target[name].shape, order="F")',
        "models/test_surgery.py",
    ),
    Mutant(
        "upsampled fields one cell too small", "geometry/fields.py", "-(-k // s) - 1", "k // s - 1", "test_geometry.py"
    ),
    Mutant(
        "a classifier without padding",
        "models/trunk.py",
        "config._replace(pad=1)",
        "config._replace(pad=0)",
        "models/test_surgery.py models/test_build.py",
    ),
    # metrics
    Mutant(
        "truth and prediction exchanged",
        "metrics.py",
        "k * labels.astype(np.int64).ravel() + predictions.astype(np.int64).ravel()",
        "k * predictions.astype(np.int64).ravel() + labels.astype(np.int64).ravel()",
        "test_metrics.py",
    ),
    Mutant(
        "ignored pixels counted as background",
        "metrics.py",
        "labels, predictions = labels[valid], predictions[valid]",
        "labels, predictions = np.where(valid, labels, 0), np.where(valid, predictions, 0)",
        "test_metrics.py",
    ),
    Mutant(
        "union counts hits twice",
        "metrics.py",
        "iu=_ratio(hits, true + called - hits)",
        "iu=_ratio(hits, true + called)",
        "test_metrics.py",
    ),
    Mutant(
        "false alarms of absent classes forgiven",
        "metrics.py",
        'averaged = present if absent == "skip" else ~np.isnan(iu)',
        "averaged = present",
        "test_metrics.py",
    ),
    Mutant("boundaries of ignored pixels", "metrics.py", "band & (labels != ignore_index)", "band", "test_metrics.py"),
    # data
    Mutant(
        "-1 is not ignored",
        "datasets/labels.py",
        "np.isin(ids, (-1, *ignore))",
        "np.isin(ids, (*ignore,))",
        "datasets/test_labels.py",
    ),
    Mutant(
        "a named ignore id is not mapped to 255",
        "datasets/labels.py",
        "np.isin(ids, (-1, *ignore))",
        "np.isin(ids, (-1,))",
        "datasets",
    ),
    Mutant(
        "unknown ids let through",
        "datasets/labels.py",
        "checks.file_label_range(ids, num_classes, IGNORE, path)",
        "checks.file_label_range(ids, 255, IGNORE, path)",
        "datasets/test_labels.py",
    ),
    Mutant(
        "padded labels teach class 0",
        "datasets/batches.py",
        "y = np.full((len(images), height, width), IGNORE, np.int64)",
        "y = np.full((len(images), height, width), 0, np.int64)",
        "datasets/test_batches.py",
    ),
    Mutant(
        "pictures stay RGB",
        "datasets/transforms.py",
        "[2, 1, 0, 3][:number] if",
        "[0, 1, 2, 3][:number] if",
        "datasets/test_transforms.py",
    ),
    Mutant(
        "labels not mirrored with their picture",
        "datasets/augment.py",
        "return image[:, ::-1], labels[:, ::-1]",
        "return image[:, ::-1], labels",
        "datasets/test_augment.py",
    ),
    Mutant(
        "labels interpolated",
        "datasets/augment.py",
        "Image.Resampling.NEAREST",
        "Image.Resampling.BILINEAR",
        "datasets/test_augment.py",
    ),
    # training
    Mutant(
        "decay after momentum",
        "training/optim.py",
        "velocity += weight * weight.dtype.type(rate * self.weight_decay * decay_mult)",
        "weight -= weight * weight.dtype.type(rate * self.weight_decay * decay_mult)",
        STEP,
    ),
    Mutant("biases decay", "training/optim.py", '"*bias": (2.0, 0.0)', '"*bias": (2.0, 1.0)', STEP),
    Mutant(
        "accumulated gradients summed",
        "training/optim.py",
        "weight.dtype.type(rate / iter_size)",
        "weight.dtype.type(rate)",
        STEP,
    ),
    Mutant(
        "frozen parameters move", "training/optim.py", "if name in frozen or lr_mult == 0:", "if lr_mult == 0:", STEP
    ),
    Mutant("gradients not reset between steps", "training/loop.py", "self.model.zero_grad()", "pass", STEP),
    Mutant(
        "a resumed run draws other dropout masks",
        "training/checkpoint.py",
        "generator.bit_generator.state = states[name]",
        "pass",
        STEP,
    ),
    Mutant(
        "a resumed run starts its schedule again",
        "training/checkpoint.py",
        '_velocities(arrays), meta["steps"])',
        "_velocities(arrays), 0)",
        STEP,
    ),
    Mutant(
        "a resumed run draws the first batches again",
        "training/checkpoint.py",
        'batches.load_state_dict(meta["batches"])',
        "pass",
        STEP,
    ),
    Mutant(
        "weights in another order fill a layer",
        "weights/__init__.py",
        "return flat or tuple(shape) == tuple(target)",
        "return flat or math.prod(shape) == math.prod(target)",
        "weights",
    ),
    Mutant("evaluated with dropout", "training/evaluation.py", "model.eval()", "pass", "training"),
    # the gradient check itself
    Mutant(
        "checked with an upstream gradient of ones",
        "gradcheck/vjp.py",
        "dy = xp.asarray(rng.normal(size=y.shape))",
        "dy = xp.ones(y.shape)",
        "test_gradcheck.py",
    ),
]


def mutated(mutant, root=ROOT):
    """The mutant's source text. Raises: ValueError when its text is not there exactly once."""
    source = (root / PACKAGE / mutant.file).read_text()
    if source.count(mutant.text) != 1:
        raise ValueError(f"{mutant.name!r}: {mutant.file} holds its text {source.count(mutant.text)} times, not once")
    return source.replace(mutant.text, mutant.replacement)


def copy_tree(folder):
    """What the tests need, in a new folder."""
    for name in (PACKAGE, "tests", "data"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", folder)


def run_tests(folder, tests):
    """pytest's exit status over the copy in `folder` (1: a test failed), and the last lines of what it said."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header"]
    command += ["-m", "not torch and not gpu and not slow", *(f"tests/{part}" for part in tests.split())]
    # the copy comes before an installed package; hypothesis draws the same examples every time
    environment = os.environ | {"PYTHONPATH": str(folder), "CI": "1", "OMP_NUM_THREADS": "1"}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return 1, "out of time"
    return done.returncode, done.stdout[-1500:] + done.stderr[-500:]


def try_mutant(mutant):
    """(verdict, seconds, what pytest said): "killed", "SURVIVED", or "BROKEN" when the tests could not even run."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        folder = Path(folder)
        copy_tree(folder)
        (folder / PACKAGE / mutant.file).write_text(mutated(mutant))
        status, said = run_tests(folder, mutant.tests)
    verdict = {0: "SURVIVED", 1: "killed"}.get(status, "BROKEN")
    return verdict, time.monotonic() - start, said


def unharmed(mutants):
    """Without a mutant the same tests pass; else a failure would mean nothing."""
    tests = " ".join(sorted({part for mutant in mutants for part in mutant.tests.split()}))
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy_tree(Path(folder))
        status, said = run_tests(Path(folder), tests)
    if status:
        print(f"the tests fail without any mutant:\n{said}", file=sys.stderr)
    return status == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", metavar="WORD", default="", help="mutants whose name contains the word")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many at once")
    args = parser.parse_args()
    mutants = [mutant for mutant in MUTANTS if args.only in mutant.name]
    if not mutants:
        parser.error(f"no mutant's name contains {args.only!r}; see --list")
    if args.list:
        for mutant in mutants:
            print(f"{mutant.file:28} {mutant.name}")
        return 0
    if not unharmed(mutants):
        return 2
    left = []
    with ThreadPoolExecutor(max(args.jobs, 1)) as pool:
        running = {pool.submit(try_mutant, mutant): mutant for mutant in mutants}
        for future in as_completed(running):
            mutant, (verdict, seconds, said) = running[future], future.result()
            print(f"{verdict:9} {seconds:6.1f} s  {mutant.file:28} {mutant.name}", flush=True)
            if verdict != "killed":
                left.append(mutant.name)
                print(said if verdict == "BROKEN" else f"          not noticed by tests/{mutant.tests}")
    print(f"{len(mutants) - len(left)} of {len(mutants)} killed")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
