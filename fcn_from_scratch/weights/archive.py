"""Zip archives. The sizes that an archive claims are compared with the file's size before any member is read."""

import zipfile
from contextlib import contextmanager

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.files import open_regular
from fcn_from_scratch.weights.trust import DAMAGE, size_of

# An archive may unpack to at most this many times its own size. Trained weights hardly compress at all; a zip bomb
# compresses a thousandfold.
MOST_EXPANSION = 64
FREE_BYTES = 64 << 20  # an archive that unpacks to no more than this is not judged by its expansion
MOST_DIRECTORY = 2 << 20  # the most bytes of an archive's directory: some 20,000 members


@contextmanager
def open_archive(file):
    """Open a zip file, given as an open file, as a ZipFile.

    Nothing is ever unpacked to disk, so names like /etc/x do no harm.
    """
    size = size_of(file)
    with zipfile.ZipFile(Doled(file, MOST_DIRECTORY, "its directory")) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        if total > FREE_BYTES and total > MOST_EXPANSION * size:
            raise InputError(f"its {size} bytes claim to hold {total}: this is not a file of weights")
        if len(archive.namelist()) != len(archive.NameToInfo):
            raise InputError("two of its members have the same name")
        for member in members:
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise InputError(
                    f"{member.filename} is packed by method {member.compress_type}, which files of weights never use"
                )
        yield archive


def names_in(path):
    """The names of an archive's members. A damaged archive gives []; its reader complains about it later."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(Doled(file, MOST_DIRECTORY, "its directory")) as archive:
            return archive.namelist()
    except DAMAGE:
        return []


class Doled:
    """A file that refuses to read more than `most` bytes at once. `what` claims so many bytes.

    zipfile reads the whole directory of an archive in one piece, and makes of each entry, of some 50 bytes, an object
    ten times as large. NumPy reads the whole header of an array before it says that the header is too long.
    """

    def __init__(self, file, most, what):
        self.file, self.most, self.what = file, most, what
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count=-1):
        """Like a file's read, with a limit on `count`. Only for the last few bytes does zipfile give no count."""
        if count > self.most:
            raise InputError(f"{self.what} claims {count} bytes: this is not a file of weights")
        return self.file.read(count)
