"""What the README and the pages in docs/ show runs as it stands, and what they name exists."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from fcn_from_scratch import course
from fcn_from_scratch.cli import COMMANDS, _parser, main
from fcn_from_scratch.lab import published

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", ROOT / "data" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
README, INDEX, GRADCHECK = PAGES["README.md"], PAGES["docs/index.md"], PAGES["docs/gradcheck.md"]
TEACHERS, PAPER = PAGES["docs/teachers.md"], PAGES["docs/paper_tables.md"]
TESTED_ELSEWHERE = ("docs/extending.md", "docs/reading_route.md")  # test_extending.py, test_reading_route.py

every_page = pytest.mark.parametrize("name", PAGES)


def blocks(text, language):
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def without_code(text):
    """The page without fenced blocks and inline code."""
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def headings(text):
    """(level, text) of each heading."""
    lines = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [(len(marks), words) for marks, words in re.findall(r"^(#+) (.+)$", lines, re.MULTILINE)]


# --- code ---------------------------------------------------------------------------------------------------

PYTHON = {
    f"{name}-{number}": code
    for name, text in PAGES.items()
    if name not in TESTED_ELSEWHERE
    for number, code in enumerate(blocks(text, "python"))
    if not code.startswith(("# my_layer.py", "# my_affine.py"))
}


def test_there_is_code():
    assert {name.rsplit("-", 1)[0] for name in PYTHON} >= {"README.md", "docs/gradcheck.md", "docs/compare.md"}


@pytest.mark.slow
@pytest.mark.parametrize("name", PYTHON)
def test_python_runs(name, capsys):
    exec(compile(PYTHON[name], name, "exec"), {})
    assert capsys.readouterr().out.strip()


class TestYourOwnLayer:
    """docs/gradcheck.md: the layers, the commands, and what they print."""

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        for name in ("my_layer.py", "my_affine.py"):
            (code,) = (code for code in blocks(GRADCHECK, "python") if code.startswith(f"# {name}"))
            (tmp_path / name).write_text(code, encoding="utf-8")
        monkeypatch.chdir(tmp_path)

    @pytest.mark.parametrize(
        ("layer", "status"),
        [
            ("my_layer.py:PReLU", 0),
            ("my_layer.py:WrongPReLU", 1),
            ("my_affine.py:Affine", 0),
            ("my_affine.py:Forgetful", 0),
        ],
    )
    def test_it_prints_what_the_page_shows(self, folder, layer, status, capsys):
        (command,) = re.findall(rf"^fcn (gradcheck {re.escape(layer)} .*)$", GRADCHECK, re.MULTILINE)
        assert main(command.split()) == status
        (shown,) = (text for text in blocks(GRADCHECK, "text") if text.startswith(f"{layer},"))
        assert self.without_rounding(capsys.readouterr().out) == self.without_rounding(shown)

    @staticmethod
    def without_rounding(text):
        """The digits of an error that is nearly zero differ from machine to machine."""
        return re.sub(r"\d\.\de-1\d", "tiny", text).rstrip()


# --- commands -----------------------------------------------------------------------------------------------

LINES = {
    re.split(r"  |\s#", re.sub(r"^mpiexec -n \d+ ", "", line))[0].strip()  # "x# text" is no comment in a shell
    for text in PAGES.values()
    for line in text.splitlines()
}
INLINE = {
    " ".join(words.split())
    for text in PAGES.values()
    for words in re.findall(r"`(fcn [^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
}


@pytest.mark.parametrize("line", sorted(line for line in LINES if line.startswith("fcn ")))
def test_commands_parse(line):
    words = line.split()[1:]
    assert _parser(words).parse_args(words).run
    assert words[0] in COMMANDS


@pytest.mark.parametrize("line", sorted(INLINE))
def test_commands_in_sentences_exist(line, capsys):
    """They may have a placeholder, as in `fcn data NAME`; the command and its options exist."""
    _, command, *words = line.split()
    assert command in COMMANDS
    with pytest.raises(SystemExit):
        main([command, *(words[:1] if command == "weights" else []), "--help"])
    known = set(re.findall(r"--[a-z][\w-]*", capsys.readouterr().out))
    assert {word for word in words if word.startswith("--")} <= known


# --- form ---------------------------------------------------------------------------------------------------


@every_page
def test_one_title_and_headings_in_order(name):
    levels = [level for level, _ in headings(PAGES[name])]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@every_page
def test_no_line_begins_with_a_percent_sign(name):
    """MyST takes such a line for a comment and leaves it out."""
    assert re.findall(r"^%.*", PAGES[name], re.MULTILINE) == []


@every_page
def test_links_lead_somewhere(name):
    """On GitHub as well as on the site, where a link to a page's file becomes a link to the page."""
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(PAGES[name])):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        assert file.resolve().is_relative_to(ROOT)
        if anchor:
            words = {text for _, text in headings(file.read_text(encoding="utf-8"))}
            assert anchor in {re.sub(r"[^\w\- ]", "", text).lower().replace(" ", "-") for text in words}, target


@every_page
def test_pictures_have_a_text(name):
    assert all(len(text) > 20 for text in re.findall(r"!\[(.*?)\]\(", PAGES[name]))


@every_page
def test_code_fits_a_page(name):
    """In 92 characters, as in the lessons. What is quoted from the package may be longer."""
    quoted = [code for code in blocks(PAGES[name], "python") if re.match(r"# \w+/\S+\.py\n", code)]
    lines = [line for text in blocks(PAGES[name], r"\w*") if text not in quoted for line in text.splitlines()]
    assert [line for line in lines if len(line) > 92] == []


@every_page
def test_a_table_has_as_many_cells_in_each_row(name):
    for table in re.findall(r"(?:^\|.*\|\n)+", PAGES[name], re.MULTILINE):
        assert len({re.sub(r"`[^`]*`", "", row).count("|") for row in table.splitlines()}) == 1, table


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 125


def test_the_first_page_names_every_other_page():
    linked = set(re.findall(r"\]\((\w+\.md)\)", INDEX))
    assert linked == {Path(name).name for name in PAGES if name.startswith("docs/")} - {"index.md"}


# --- facts --------------------------------------------------------------------------------------------------


def test_every_lesson_is_in_the_table():
    """With its question, and with a star if it is on the fast path."""
    rows = re.findall(r"^\| (\d+) \| \[([^]]+)\]\(\.\./lessons/(\S+)\) \| (.+) \| ([* ])\s*\|$", INDEX, re.MULTILINE)
    wanted = [
        (str(one.number), one.title, one.path.name, one.question, "*" if one.number in course.FAST_PATH else " ")
        for one in course.lessons()
    ]
    assert rows == wanted


@pytest.mark.parametrize("name", published.TABLES)
def test_the_papers_tables_are_those_of_fcn_published(name):
    """Every row once, under the columns that belong to it, and no row more."""
    table = published.TABLES[name]
    rows = [[row.system, *row.numbers.split()] for row in table.rows]
    tables = re.findall(r"(?:^\|.*\|\n)+", PAPER, re.MULTILINE)
    cells = [[[cell.strip() for cell in row.split("|")[1:-1]] for row in text.splitlines()] for text in tables]
    assert [len(table) for table in cells if table[2:] == rows] == [len(rows) + 2]


def strings_of(lesson):
    tree = ast.parse(lesson.read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


class TestTeachers:
    def test_eighteen_questions_have_eighteen_answers(self):
        questions, answers = TEACHERS.split("## The answers")
        assert re.findall(r"^(\d+)\. ", questions, re.MULTILINE) == [str(n) for n in range(1, 19)]
        assert re.findall(r"^### (\d+)\. ", answers, re.MULTILINE) == [str(n) for n in range(1, 19)]

    @pytest.mark.parametrize("number", range(1, 19))
    def test_the_claims_of_an_answer_are_those_of_the_lesson(self, number):
        answer = re.split(r"^### \d+\. .*$", TEACHERS, flags=re.MULTILINE)[number]
        proof = " ".join(answer.split("Checked in ")[1].split())
        parts = re.split(r"\[lesson (\d+)\]\(\.\./lessons/([^)]+)\): ", proof)
        assert parts[0] == ""
        for lesson, file, claims in zip(parts[1::3], parts[2::3], parts[3::3]):
            assert file.startswith(f"lesson_{int(lesson):02}_")
            quoted = re.findall(r'"([^"]+)"', claims)
            assert quoted
            assert set(quoted) <= strings_of(ROOT / "lessons" / file)

    def test_figures_are_drawn_by_their_lesson(self):
        rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", TEACHERS, re.MULTILINE)
        assert len(rows) > 10
        for figure, lesson in rows:
            path = next((ROOT / "lessons").glob(f"lesson_{int(lesson):02}_*.py"))
            assert figure in strings_of(path)

    def test_a_plan_names_lessons_in_order(self):
        plans = re.findall(r"^\| session \|.*\n(?:\|.*\n)+", TEACHERS, re.MULTILINE)
        assert [len(plan.splitlines()) - 2 for plan in plans] == [2, 4, 8]
        for plan in plans:
            cells = [row.split("|")[2] for row in plan.splitlines()[2:]]
            numbers = [int(word) for cell in cells for word in re.findall(r"\d+", cell)]
            assert numbers == sorted(set(numbers))
            assert set(numbers) <= {lesson.number for lesson in course.lessons()}


def test_every_file_of_the_package_is_in_the_architecture():
    """In the section of its room; and no file that is gone is named there."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    parts = re.split(r"^(?:### (\w+).*|\*\*(\w+/\w+)\*\*)$", text, flags=re.MULTILINE)
    sections = {room or part: body for room, part, body in zip(parts[1::3], parts[2::3], parts[3::3])}
    package = ROOT / "fcn_from_scratch"
    for folder in {path.parent for path in package.rglob("*.py")}:
        room = str(folder.relative_to(package)).replace(".", "Leaves")
        if room in ("cli", "lab/bench/kernel_cases"):
            continue
        rows = "\n".join(line.split("|")[1] for line in sections[room].splitlines() if line.startswith("|"))
        listed = set(re.findall(r"`(\w+\.py)`", rows))
        assert listed == {path.name for path in folder.glob("*.py") if not path.name.startswith("__")}, room
