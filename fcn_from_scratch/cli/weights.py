"""`fcn weights`: inspect a file of weights, convert it to a plain .npz, or verify a checkpoint."""

import json
import sys

import numpy as np

from fcn_from_scratch import models, weights
from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.training import checkpoint, finite
from fcn_from_scratch.weights import identity, known_files, names, preprocessing
from fcn_from_scratch.weights.trust import printable

HELP = "Inspect a file of weights (.caffemodel, .pth, .npz, .safetensors), or convert it to .npz."
EXAMPLE = """  fcn weights inspect fcn8s-heavy-pascal.caffemodel
  fcn weights convert fcn8s-heavy-pascal.caffemodel fcn8s.npz
  fcn weights convert vgg16-397923af.pth vgg16.npz --fold
  fcn weights verify runs/camvid/checkpoint.npz

No framework is needed, and no code in a file is run."""

CANDIDATES = [name for name in models.NAMES if not name.startswith(("mini", "unpool"))]


def add_arguments(parser):
    actions = parser.add_subparsers(metavar="inspect|convert|verify", required=True)
    inspect = actions.add_parser("inspect", help="print the format, the arrays, and the networks that they fit")
    inspect.set_defaults(action=_inspect)
    convert = actions.add_parser("convert", help="write the same arrays as .npz, under the paper's names")
    convert.set_defaults(action=_convert)
    verify = actions.add_parser("verify", help="check that a checkpoint is what was written")
    verify.set_defaults(action=_verify)
    for action in (inspect, convert, verify):
        action.add_argument("file", metavar="FILE", help="a file of weights")
    for action in (inspect, convert):
        action.add_argument(
            "--preprocessing",
            choices=weights.PREPROCESSING,
            help="what the weights expect, if the file does not record it",
        )
    convert.add_argument("out", metavar="OUT.npz", help="the new file")
    convert.add_argument(
        "--fold",
        action="store_true",
        help="fold the preprocessing into the first layer, which then expects BGR, 0..255 minus a mean",
    )


def run(args):
    return args.action(args)


def _inspect(args):
    content = weights.read_file(args.file)
    md5 = known_files.md5_of(args.file)
    known = known_files.PUBLISHED.get(md5)
    print(f"{printable(args.file)}: {content.format}{_more(content)}")
    print(f"md5 {md5}: {known.name if known else 'not one of the published files known here'}")
    for key, value in content.meta.items():
        if isinstance(value, (str, int, float)):
            print(f"{printable(str(key))}: {printable(str(value))[:100]}")
    for note in content.notes:
        print(f"note: {printable(note)}")
    print()
    print("\n".join(_table(content.arrays)))
    print()
    if wrong := finite.wrong(content.arrays):
        print(f"warning: these are not finite: {printable(few(wrong, 3))}\n")
    print("\n".join(_fits(content, known)))
    print(_expects(content, known, args.preprocessing))
    return 0


def _verify(args):
    """Read the whole file. A checkpoint's digest is compared, and every number must be finite."""
    content = weights.read_file(args.file)
    print(f"{printable(args.file)}: {content.format}{_more(content)}")
    arrays = content.arrays
    if content.format == weights.formats.CHECKPOINT and "format" in content.meta:
        arrays, meta, has_digest = checkpoint.read_with_digest(args.file)
        print(f"step {meta['steps']} of {printable(str(meta['model']))}; every entry has its type and range")
        old = "it records no digest, since an older version wrote it; the archive's own check sums are right"
        print("its digest, SHA-256, fits its content: it is what was written" if has_digest else old)
    else:
        print("files of this format record no digest; its sizes and check sums, where it has any, are right")
    if wrong := finite.wrong(arrays):
        print(printable(f"fcn: {args.file} holds numbers that are not finite: {few(wrong, 3)}"), file=sys.stderr)
        return 1
    print("every number is finite")
    return 0


def _convert(args):
    if not args.out.endswith(".npz"):
        raise InputError(f"the name of the new file must end in .npz; got {args.out}")
    content = weights.read_file(args.file)
    known = identity.identify(content, args.file)
    expected = preprocessing.expected(content, known, args.preprocessing)
    mapped = names.ours(content.arrays)
    arrays = {mapped[name]: array for name, array in content.arrays.items()}
    if len(arrays) < len(mapped):
        raise InputError(f"{args.file} holds two arrays for one of the paper's names")
    transform = preprocessing.transform_for(expected, None)
    if args.fold:
        first = next(iter(arrays))
        if transform is None:
            raise InputError(f"{args.file} does not record which preprocessing to fold: pass --preprocessing")
        arrays[first], transform = preprocessing.fold(arrays[first], transform)
    meta = {"from": content.format, "model": weights.told_model(content, args.file)}
    meta |= {} if transform is None else {"transform": transform.as_dict()}
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    write_atomically(args.out, lambda file: np.savez(file, allow_pickle=False, **arrays))
    why = "not recorded: " if transform is None else f"{preprocessing.describe(transform)}: "
    print(f"wrote {len(mapped)} arrays to {printable(args.out)}; preprocessing {why}{expected.why}")
    return 0


def _more(content):
    numbers = sum(array.size for array in content.arrays.values())
    return f", {len(content.arrays)} arrays, {numbers:,} numbers"


def _table(arrays):
    """One line for each array: name, shape, dtype and range."""
    mapped = names.ours(arrays)
    rows = [("array", "shape", "dtype", "range", "")]
    for name, array in arrays.items():
        shape = "x".join(map(str, array.shape)) or "scalar"
        ours = "" if mapped[name] == name else f"= {mapped[name]}"
        rows.append((printable(name), shape, str(array.dtype), _range(array), printable(ours)))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return ["  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip() for row in rows]


def _range(array):
    if not array.size:
        return "empty"
    low, high = array.min(), array.max()
    return f"{low:.4g} .. {high:.4g}" if array.dtype.kind == "f" else f"{low} .. {high}"


def _fits(content, known):
    """Lines that tell which networks the arrays fit, and how many parameters are missing."""
    stranger = names.stranger(content.arrays)
    if stranger:
        return [f"fits none of the networks here: {stranger}"]
    told = weights.told_options(content)
    lines = []
    for name, report in _reports(content, known, told):
        missing = f"; without {few(report.missing, 3)}" if report.missing else ""
        unused = f"; {len(report.unused)} arrays unused" if report.unused else ""
        lines.append(f"{name}: {len(report.used)} of {len(report.used) + len(report.missing)}{missing}{unused}")
    classes = f" with num_classes={told['num_classes']}" if "num_classes" in told else ""
    head = f"parameters that it fills in the networks here{classes}:" if lines else "fits none of the networks here"
    return [head, *(f"  {line}" for line in lines)]


def _reports(content, known, told):
    """(model name, weights.Report) of each network that shares names and shapes with a file, the best match first.

    A thin copy of a network is built first. Only if it shares names is the network built in full, without drawing
    weights.
    """
    found = []
    for name in CANDIDATES:
        options = {key: value for key, value in told.items() if key != "in_channels" or "late_fusion" not in name}
        try:
            thin = models.build(name, seed=None, width=2, **options)
            if not set(names.ours(content.arrays, thin.params.keys()).values()) & thin.params.keys():
                continue
            report, _ = weights.match(models.build(name, seed=None, **options), content, "")
        except ValueError:  # another number of heads, or other shapes
            continue
        if identity.is_at_once(content, known) in (None, name.endswith("atonce")):
            found.append((name, report))
    found.sort(key=lambda pair: (len(pair[1].missing), len(pair[1].unused)))
    return found


def _expects(content, known, asked):
    expected = preprocessing.expected(content, known, asked)
    transform = preprocessing.transform_for(expected, None)
    told = expected.why if transform is None else f"{preprocessing.describe(transform)} ({expected.why})"
    return f"preprocessing: {told}"
