"""Files that are written as a whole."""

import os

import pytest

from fcn_from_scratch import files


@pytest.mark.skipif(os.name != "posix", reason="file modes of Unix")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0o777, 0o600)])
def test_the_owner_can_always_read_what_was_written(umask, mode, tmp_path):
    """0o777 is Emscripten's umask. Other umasks give the mode that an ordinary new file has."""
    before = os.umask(umask)
    try:
        files.write_atomically(tmp_path / "file", lambda file: file.write(b"three"))
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode
    assert (tmp_path / "file").read_bytes() == b"three"
