"""The command line: `fcn COMMAND ...`, the same as `python -m fcn_from_scratch COMMAND ...`.

Each command is one file in this folder. It has the texts HELP and EXAMPLE, add_arguments(parser), and run(args), which
returns the exit status. This file puts the commands together and reports errors:

0  the command worked
1  it failed: a check did not hold, the disk is full, or there is a bug
2  a mistake of the user: one line on stderr names the file, the label id or the sizes
"""

import argparse
import importlib
import os
import sys
import warnings

from fcn_from_scratch import __version__
from fcn_from_scratch.checks import InputError, printable
from fcn_from_scratch.cli.terminal import printable_output
from fcn_from_scratch.lab.mpi import launcher

COMMANDS = (
    *("lessons", "exercise", "gradcheck", "inspect", "data", "train", "evaluate", "segment", "export", "compare"),
    *("published", "doctor", "weights", "bench"),
)


def main(argv=None):
    """Run one command; returns the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args = _parser(argv).parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _show_warning
            with printable_output():
                return args.run(args)
    except InputError as error:
        return _report(error, 2)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        return _report(f"{error.filename}: {error.strerror}", 2)
    except BrokenPipeError:  # the reader of a pipe has ended, as in `fcn ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # such as a full disk
        return _report(f"{error.filename}: {error.strerror}" if error.filename else error, 1)
    except MemoryError as error:
        return _report(f"not enough memory: {error}. Use smaller images or a smaller batch", 1)
    except KeyboardInterrupt:
        return _report("interrupted", 130)


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that reports an error in one line, without usage. With MPI only one process reports it."""

    def error(self, message):
        self.exit(2, None if launcher.rank() else f"fcn: {printable(message)} (see {self.prog} --help)\n")


def _parser(argv):
    parser = _Parser(
        prog="fcn",
        description="Fully convolutional networks by hand: follow the course, check gradients, train, score, segment.",
        epilog="example:\n  fcn lessons\n  fcn gradcheck\n  fcn train --steps 300 --out runs/shapes\n\n"
        "fcn COMMAND --help explains a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fcn_from_scratch {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    # If the line names a command, only that command is imported, so that it starts fast.
    asked = next((word for word in argv if word in COMMANDS), None)
    for name in COMMANDS:
        if asked not in (None, name):
            commands.add_parser(name)
            continue
        command = importlib.import_module(f"fcn_from_scratch.cli.{name}")
        sub = commands.add_parser(
            name,
            help=command.HELP,
            description=command.HELP,
            epilog=f"example:\n{command.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


def _show_warning(message, *_, **__):
    print(f"fcn: warning: {printable(str(message))}", file=sys.stderr)


def _report(message, status):
    print(f"fcn: {printable(' '.join(str(message).split()))}", file=sys.stderr)
    return status
