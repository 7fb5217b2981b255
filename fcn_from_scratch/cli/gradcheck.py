"""`fcn gradcheck`: check that each backward is the derivative of its forward, in the package or in a user's layer."""

import math

from fcn_from_scratch import checks
from fcn_from_scratch.backend import DEVICES, device_module, plain
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common
from fcn_from_scratch.gradcheck.cases import find, names, run_cases
from fcn_from_scratch.gradcheck.user_layer import check_user_layer
from fcn_from_scratch.gradcheck.vjp import LIMIT

LARGEST = 20_000  # numbers in the input of a user's layer: more than this come too close to kinks

HELP = "check the gradients of the package, or of your own layer, against finite differences"
EXAMPLE = """  fcn gradcheck                       every op and layer
  fcn gradcheck Conv2d maxpool2d      only these
  fcn gradcheck --plain               the plain code, without the engine
  fcn gradcheck my_layer.py:MyConv --args "3, 4, kernel_size=3" --shape 2,3,7,6"""


def add_arguments(parser):
    parser.add_argument(
        "layer",
        nargs="*",
        metavar="LAYER",
        help="name of an op or layer, or FILE.py:CLASS for your own layer",
    )
    parser.add_argument("--list", action="store_true", help="list the names and stop")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default 0)")
    parser.add_argument(
        "--device", choices=DEVICES, default="cpu", help="where the package's ops and layers are checked"
    )
    common.add_plain_argument(parser)
    own = parser.add_argument_group("for your own layer")
    own.add_argument("--shape", default="2,3,7,6", help="shape of its input x (default 2,3,7,6)")
    own.add_argument("--args", default="", help="arguments of its constructor, such as '3, 4, kernel_size=3'")


def run(args):
    """Print the table; returns 0 if all gradients are right, otherwise 1."""
    if args.list:
        print("\n".join(names()))
        return 0
    seed = args.seed
    if seed < 0:
        raise InputError(f"--seed must be at least 0; got {seed}")
    own = [word for word in args.layer if ".py" in word]
    chosen = list(dict.fromkeys(name for word in args.layer if word not in own for name in _find(word)))
    shape = _shape(args.shape)
    with plain(args.plain):
        held = [_user_layer(word, args.args, shape, seed) for word in own]
        if chosen or not own:
            held.append(_table(chosen or names(), seed, args.device))
    return 0 if all(held) else 1


def _table(chosen, seed, device):
    try:
        device_module(device)
    except ValueError as error:
        raise InputError(error) from None
    rows = run_cases(chosen, seed, device)
    width = max(len(row.name) for row in rows)
    print(f"{'':{width}}  cases  worst error        in the configuration")
    for row in rows:
        measured = f"{row.configurations:5}  {row.error:11.1e}  {_verdict(row.ok)}"
        print(f"{row.name:{width}}  {measured}  {row.configuration}")
        if row.problem:
            print(f"{'':{width}}  {row.problem}")
    failed = [row.name for row in rows if not row.ok]
    cases = sum(row.configurations for row in rows)
    print(
        f"\n{len(failed)} of {len(rows)} FAIL: {', '.join(failed)}"
        if failed
        else f"\nall {len(rows)} right, in {cases} cases: every relative error is below {LIMIT:.0e}"
    )
    return not failed


def _user_layer(word, arguments, shape, seed):
    report = check_user_layer(word, arguments, shape, seed)
    print(f"{word}, x of shape {shape}, seed {seed}")
    width = max(map(len, report.errors), default=0)
    for name, error in report.errors.items():
        verdict = _verdict(name not in report.hints)
        print(f"  {name:{width}}  {error:8.1e}  {verdict}  {report.hints.get(name, '')}".rstrip())
    for complaint in report.complaints:
        print(f"  {complaint}")
    for line in _what_was_checked(report):
        print(f"  {line}")
    return report.ok


def _what_was_checked(report):
    """The verdict, and in words what it is about: nothing is called right that was not looked at."""
    if report.elsewhere:
        pairs = [f"{name} (gradient {gradient})" for name, gradient in report.elsewhere.items()]
        yield f"parameters found: {', '.join(pairs)}"
    if report.unchecked:
        name, it = report.unchecked[0], "it" if len(report.unchecked) == 1 else "them"
        yield (
            f"not checked: {', '.join(report.unchecked)}. The output depends on {it}, but backward "
            f"leaves no d{name}, grad_{name} or {name}_grad"
        )
    if not report.ok:
        yield "FAIL: this backward is not the derivative of this forward, or breaks the layer contract"
    elif len(report.errors) == 1:
        none = "" if report.unchecked else "; no attribute looks like a parameter"
        yield f"only dx was checked, and it is right: its relative error is below {LIMIT:.0e}{none}"
    else:
        which = "every gradient above" if report.unchecked else "every gradient"
        yield f"{which} is right: all relative errors are below {LIMIT:.0e}"


def _verdict(ok):
    return "ok  " if ok else "FAIL"


def _find(word):
    found = find(word)
    if not found:
        known = ", ".join(names())
        raise InputError(f"no op or layer is called {word!r}; there are {known}. For your own: FILE.py:CLASS")
    return found


def _shape(text):
    try:
        shape = tuple(checks.integer(int(n), "a size", 1) for n in text.split(","))
    except ValueError:
        raise InputError(f"--shape takes sizes with commas between them, such as 2,3,7,6; got {text!r}") from None
    if math.prod(shape) > LARGEST:
        raise InputError(f"--shape {text} has more than {LARGEST} numbers; a few hundred are enough to check a layer")
    return shape
