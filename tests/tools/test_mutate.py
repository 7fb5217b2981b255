"""mutate.py kills what the suite notices, reports what it does not, and leaves the working tree alone."""

import subprocess

import mutate
import pytest
from mutants import MUTANTS
from planting import PACKAGE, Mutant

ADD = "def add(a, b):\n    return a + b\n"
TEST = "from fcn_from_scratch.ops import add\n\n\ndef test_add():\n    assert add(1, 0) == 1\n"
SWAPPED = Mutant("minus", "ops.add", "a + b", "b - a", "test_ops.py")
UNNOTICED = Mutant("unnoticed", "ops.add", "a + b", "a - b", "test_ops.py")
GONE = Mutant("gone", "ops.add", "a * b", "a", "test_ops.py")
NO_SYNTAX = Mutant("no syntax", "ops.add", "a + b", "a +", "test_ops.py")


def git(*words):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A project of one function and one test, in place of ours."""
    (tmp_path / PACKAGE).mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / PACKAGE / "__init__.py").touch()
    (tmp_path / PACKAGE / "ops.py").write_text(ADD)
    (tmp_path / "tests" / "test_ops.py").write_text(TEST)
    (tmp_path / "setup.cfg").write_text("[tool:pytest]\nmarkers =\n    torch\n    gpu\n    slow\n")
    monkeypatch.setattr(mutate, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch, capsys, mutants, *arguments):
    monkeypatch.setattr(mutate, "MUTANTS", mutants)
    status = mutate.main(arguments)
    return status, capsys.readouterr().out.splitlines()


def test_all_killed(tree, monkeypatch, capsys):
    """The tests see the copy: an installed package knows no `add`."""
    status, lines = run(monkeypatch, capsys, [SWAPPED])
    assert (status, lines[-1]) == (0, "1 of 1 killed")
    assert (tree / PACKAGE / "ops.py").read_text() == ADD


def test_the_last_line_names_the_others(tree, monkeypatch, capsys):
    status, lines = run(monkeypatch, capsys, [SWAPPED, UNNOTICED, GONE, NO_SYNTAX], "--jobs", "2")
    assert status == 1
    assert lines[-1] == "1 of 4 killed; SURVIVED: unnoticed; BROKEN: no syntax; NO FIT: gone"


def test_a_suite_that_fails_without_a_mutant_proves_nothing(tree, monkeypatch, capsys):
    (tree / "tests" / "test_more.py").write_text(TEST.replace("== 1", "== 2"))
    more = SWAPPED._replace(name="more", tests="test_more.py")
    monkeypatch.setattr(mutate, "MUTANTS", [SWAPPED, more])
    assert mutate.main([]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "tests/test_more.py fails without any mutant" in err
    assert "test_ops.py" not in err


def test_changed_since(tree, monkeypatch, capsys):
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    later = Mutant("later", "new.sub", "a - b", "a + b", "test_ops.py")
    listed = ("--list", "--changed-since", "HEAD")
    (tree / PACKAGE / "new.py").write_text("def sub(a, b):\n    return a - b\n")
    _, lines = run(monkeypatch, capsys, [SWAPPED, later, GONE], *listed)
    assert [line.split()[-1] for line in lines] == ["later", "gone"], "a new file, and what does not fit"
    (tree / PACKAGE / "ops.py").write_text(ADD + "\n")
    _, lines = run(monkeypatch, capsys, [SWAPPED, later], *listed)
    assert [line.split()[-1] for line in lines] == ["minus", "later"]
    with pytest.raises(SystemExit):
        run(monkeypatch, capsys, [SWAPPED], "--changed-since", "nowhere")
    assert "git cannot compare with 'nowhere'" in capsys.readouterr().err


@pytest.mark.parametrize("number", [1, 2, 8, 300])
def test_shards_share_the_mutants(number):
    shards = [MUTANTS[mutate.shard(f"{i}/{number}")] for i in range(1, number + 1)]
    assert sorted(mutant for shard in shards for mutant in shard) == sorted(MUTANTS)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize("text", ["0/8", "9/8", "1/0", "1", "a/b"])
def test_no_such_shard(text, capsys):
    with pytest.raises(SystemExit):
        mutate.main(["--list", "--shard", text])
    assert "is no shard" in capsys.readouterr().err
