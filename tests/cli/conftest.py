"""Running commands as a user does, in this process."""

import pytest

from fcn_from_scratch.cli import main


@pytest.fixture
def fcn(capsys):
    """A function that runs one command; returns status, output and messages."""

    def run(*words):
        try:
            status = main(list(map(str, words)))
        except SystemExit as end:  # argparse's way
            status = end.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run
