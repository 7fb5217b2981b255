"""Run commands as a user does, in this process."""

import pytest

from fcn_from_scratch.cli import main


@pytest.fixture
def fcn(capsys):
    """A function that runs one command; returns the exit status, the output and the messages."""

    def run(*words):
        try:
            status = main(list(map(str, words)))
        except SystemExit as end:  # argparse exits this way
            status = end.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run
