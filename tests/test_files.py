"""Files that are written as a whole, and read only where they are regular."""

import os
import socket
from pathlib import Path

import pytest

from fcn_from_scratch import checks, files, weights
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import lists
from fcn_from_scratch.datasets.images import read_image
from fcn_from_scratch.datasets.labels import read_labels
from fcn_from_scratch.datasets.mat import read_mat
from fcn_from_scratch.lab.exercises import files as exercise_files
from fcn_from_scratch.training import checkpoint
from fcn_from_scratch.weights import known_files


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


@pytest.mark.skipif(os.name != "posix", reason="FIFOs and devices of Unix")
class TestOnlyRegularFiles:
    @pytest.fixture(params=["fifo", "link to a fifo", "device", "link to a device"])
    def odd(self, request, tmp_path):
        """A function: the path of such a file with a given ending."""

        def make(name):
            path = tmp_path / name
            if request.param == "device":
                return Path("/dev/null")
            if "fifo" in request.param:
                os.mkfifo(tmp_path / "fifo")
            target = tmp_path / "fifo" if "fifo" in request.param else Path("/dev/zero")
            path.symlink_to(target) if "link" in request.param else target.rename(path)
            return path

        return make

    @pytest.mark.parametrize("name", ["w.npz", "w.pth", "w.safetensors", "w.caffemodel", "w"])
    def test_weights(self, odd, name):
        with pytest.raises(InputError, match="only regular files are read"):
            weights.read_file(odd(name))

    @pytest.mark.parametrize(
        "read",
        [
            read_image,
            read_labels,
            lambda path: read_mat(path, "x"),
            lists.read_list,
            checkpoint.read,
            known_files.md5_of,
            exercise_files.read,
        ],
    )
    def test_other_readers(self, odd, read):
        with pytest.raises(InputError, match="only regular files are read"):
            read(odd("x.png"))

    def test_a_dataset_says_so_too(self, odd, tmp_path):
        with pytest.raises(InputError, match="no regular file"):
            checks.files_exist([odd("x.png")])

    def test_a_link_to_a_regular_file_is_read(self, tmp_path):
        (tmp_path / "file").write_bytes(b"three")
        (tmp_path / "link").symlink_to(tmp_path / "file")
        assert files.read_bytes(tmp_path / "link", 5) == b"three"
        with pytest.raises(InputError, match="larger than"):
            files.read_bytes(tmp_path / "link", 4)

    def test_missing_files_and_folders_stay_what_they_were(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            files.open_regular(tmp_path / "gone")
        with pytest.raises(IsADirectoryError):
            files.open_regular(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="links, FIFOs and devices of Unix")
class TestWhereFilesAreWritten:
    def write(self, path):
        files.write_atomically(path, lambda file: file.write(b"new"))

    @pytest.mark.parametrize("old", [b"old", None])
    @pytest.mark.parametrize("links", [1, 3])
    def test_behind_links(self, tmp_path, old, links):
        goal = tmp_path / "there" / "goal"
        goal.parent.mkdir()
        if old is not None:
            goal.write_bytes(old)
        names = [tmp_path / f"link{number}" for number in range(links)]
        for name, behind in zip(names, [*names[1:], goal]):
            name.symlink_to(behind)
        self.write(names[0])
        assert goal.read_bytes() == b"new"
        assert all(name.is_symlink() for name in names)
        assert [each.name for each in goal.parent.iterdir()] == ["goal"]

    def test_a_fifo_a_socket_and_a_device_stay(self, tmp_path):
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "link").symlink_to(tmp_path / "fifo")
        with socket.socket(socket.AF_UNIX) as server:
            before = os.getcwd()
            os.chdir(tmp_path)  # the path of a socket is short
            try:
                server.bind("socket")
            finally:
                os.chdir(before)
            (tmp_path / "null").symlink_to("/dev/null")
            odd = {"fifo": "FIFO", "link": "FIFO", "socket": "socket", "null": "device"}
            for name, kind in odd.items():
                with pytest.raises(InputError, match=f"is a {kind}; results are written to regular files only"):
                    self.write(tmp_path / name)
        assert not (tmp_path / "fifo").is_file()
        assert not Path("/dev/null").is_file()
        assert {each.name for each in tmp_path.iterdir()} == set(odd)

    def test_a_folder_and_a_circle_of_links_are_named(self, tmp_path):
        (tmp_path / "folder").mkdir()
        with pytest.raises(IsADirectoryError) as error:
            self.write(tmp_path / "folder")
        assert error.value.filename == str(tmp_path / "folder")
        (tmp_path / "a").symlink_to(tmp_path / "b")
        (tmp_path / "b").symlink_to(tmp_path / "a")
        with pytest.raises(OSError, match="symbolic links"):
            self.write(tmp_path / "a")
