"""The command line: `fcn COMMAND ...`, the same as `python -m fcn_from_scratch COMMAND ...`.

Each command is one file in this folder. It has the texts HELP and EXAMPLE, add_arguments(parser), and run(args), which
returns the exit status. This file puts the commands together and reports errors:

0  the command worked
1  it failed: a check did not hold, the disk is full, or there is a bug
2  a mistake of the user: one line on stderr names the file, the label id or the sizes
128 + number of a signal: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP
"""

import argparse
import importlib
import os
import sys
import warnings

from fcn_from_scratch import __version__
from fcn_from_scratch.checks import InputError, printable
from fcn_from_scratch.cli import signals, streams
from fcn_from_scratch.cli.terminal import printable_output
from fcn_from_scratch.files import NO_ROOM
from fcn_from_scratch.lab.mpi import launcher

COMMANDS = (
    *("lessons", "exercise", "gradcheck", "inspect", "data", "train", "evaluate", "segment", "export", "compare"),
    *("published", "doctor", "weights", "bench"),
)
WRITERS = ("train", "evaluate", "segment", "export", "compare", "bench")  # they go on when nobody reads their output


def main(argv=None):
    """Run one command; returns the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args = _parser(argv).parse_args(argv)
    if _asked(argv) not in WRITERS:
        return _reported(args)
    with streams.lasting() as lost:
        status = _reported(args)
    return status or (_report(f"standard output: {lost[0].strerror}", 1) if lost else 0)


def _reported(args):
    """Run the command, and turn an error into one line and an exit status."""
    try:
        with signals.handled(), warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _show_warning
            with printable_output():
                status = args.run(args)
                if sys.stdout is not None:
                    sys.stdout.flush()  # what cannot be printed is noticed here, and not when Python ends
                return status
    except InputError as error:
        return _report(f"{error}{_going_on(error)}", 2)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        return _report(f"{error.filename}: {error.strerror}{_going_on(error)}", 2)
    except BrokenPipeError:  # the reader of a pipe has ended, as in `fcn ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # such as a full disk
        if error.filename is None and error.errno in NO_ROOM:  # a file has its name: see files.naming
            error.filename = "standard output"
            streams.give_up(sys.stdout)
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return _report(f"{text}{_going_on(error)}", 1)
    except MemoryError as error:
        return _report(f"not enough memory: {error}. Use smaller images or a smaller batch{_going_on(error)}", 1)
    except signals.StoppedError as stop:
        return _report(f"{stop}{_going_on(stop)}", 128 + stop.number)
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
    asked = _asked(argv)
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


def _asked(argv):
    """The command that the line names."""
    return next((word for word in argv if word in COMMANDS), None)


def _going_on(error):
    """How to go on after an error, where the command has said so: see cli.train."""
    return getattr(error, "going_on", "")


def _show_warning(message, *_, **__):
    print(f"fcn: warning: {printable(str(message))}", file=sys.stderr)


def _report(message, status):
    print(f"fcn: {printable(' '.join(str(message).split()))}", file=sys.stderr)
    return status
