"""Zip archives whose members are read one by one, after what they claim has been held against the file's size."""

import zipfile
from contextlib import contextmanager

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.weights.trust import DAMAGE, size_of

# An archive may hold this many bytes for each of its own. Trained weights hardly compress; a bomb does, a thousandfold.
MOST_EXPANSION = 64
FREE_BYTES = 64 << 20  # below this size expansion is not judged
MOST_DIRECTORY = 2 << 20  # bytes of an archive's directory: some 20,000 members


@contextmanager
def open_archive(file):
    """An open zip file as a ZipFile. Nothing is ever unpacked to disk, so names like /etc/x do no harm."""
    size = size_of(file)
    with zipfile.ZipFile(_Doled(file)) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        if total > FREE_BYTES and total > MOST_EXPANSION * size:
            raise InputError(f"its {size} bytes claim to hold {total}: this is not a file of weights")
        if len(archive.namelist()) != len(archive.NameToInfo):
            raise InputError("two of its members have the same name")
        for member in members:
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise InputError(
                    f"{member.filename} is packed by method {member.compress_type}, which is for no weights"
                )
        yield archive


def names_in(path):
    """The names of an archive's members; none if it is damaged, of which its reader will complain."""
    try:
        with open(path, "rb") as file, zipfile.ZipFile(_Doled(file)) as archive:
            return archive.namelist()
    except DAMAGE:
        return []


class _Doled:
    """A file that gives little at once. zipfile takes its whole directory in one piece, and each entry, of 50 bytes or
    so, makes an object ten times as large."""

    def __init__(self, file):
        self.file, self.seek, self.tell, self.seekable = file, file.seek, file.tell, file.seekable

    def read(self, count=-1):
        """As a file's; without a count zipfile only reads the last few bytes."""
        if count > MOST_DIRECTORY:
            raise InputError(f"its directory claims {count} bytes: this is not a file of weights")
        return self.file.read(count)
