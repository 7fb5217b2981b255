"""`fcn exercise` from the command line: it writes stubs, checks answers and prints ours."""

import pytest

from fcn_from_scratch.lab import exercises
from fcn_from_scratch.lab.exercises.files import EXERCISES

LESSON = 0
OURS = exercises.of_lesson(LESSON)
FIRST = OURS[0]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The working folder of each test is an empty one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def in_one_file():
    return "\n\n".join(exercise.solution for exercise in OURS)


class TestWrite:
    def test_all_of_a_lesson(self, done, here):
        out = done("exercise", LESSON)
        assert {path.name: path.read_text() for path in here.iterdir()} == {e.file_name: e.stub for e in OURS}
        assert [line for line in out.splitlines() if line.startswith("wrote")] == [
            f"wrote  {exercise.file_name}: {exercise.title}" for exercise in OURS
        ]
        assert out.endswith(f"fcn exercise {LESSON} --check {FIRST.file_name}\n")

    def test_one_of_a_lesson_given_by_name(self, done, here):
        done("exercise", "the_paper_in_pictures", FIRST.number)
        assert [path.name for path in here.iterdir()] == [FIRST.file_name]

    def test_what_is_here_is_kept(self, done, here):
        mine = here / FIRST.file_name
        mine.write_text("mine")
        out = done("exercise", LESSON)
        assert mine.read_text() == "mine"
        assert out.startswith(f"kept   {FIRST.file_name}, which exists already\n")
        assert out.count("wrote") == len(OURS) - 1
        assert done("exercise", LESSON).count("kept") == len(OURS)

    def test_a_link_to_nowhere_is_kept_too(self, done, here):
        (here / FIRST.file_name).symlink_to(here / "gone")
        assert done("exercise", LESSON, FIRST.number).startswith("kept")
        assert not (here / "gone").exists()


class TestCheck:
    def test_a_right_answer(self, done, here):
        (here / FIRST.file_name).write_text(FIRST.solution)
        assert done("exercise", LESSON, "--check", FIRST.file_name) == f"exercise {FIRST.name} is right\n"

    def test_an_untouched_stub(self, fcn, done):
        done("exercise", LESSON, FIRST.number)
        status, out, err = fcn("exercise", LESSON, "--check", FIRST.file_name)
        assert (status, err) == (1, "")
        assert out.startswith(f"exercise {FIRST.name} is not right yet\n{FIRST.asked} is still the stub")

    def test_a_known_mistake_gets_its_hint(self, fcn, here):
        (here / "a.py").write_text(
            "def trunk_sizes(n, padding):\n    pools = [(n + 2 * padding - 2) // 2**k for k in range(1, 6)]\n"
            "    return [*pools, pools[4] - 6, pools[4] - 6]\n"
        )
        status, out, _ = fcn("exercise", LESSON, 1, "--check", "a.py")
        assert status == 1
        assert "Hint: these pools round up" in out

    @pytest.mark.parametrize("name", ["everything.py", FIRST.file_name, "exercise_1_1.py", "no_suffix"])
    def test_all_solutions_in_one_file(self, done, here, name):
        (here / name).write_text(in_one_file())
        out = done("exercise", LESSON, "--check", name)
        assert out == "".join(f"exercise {exercise.name} is right\n" for exercise in OURS)

    def test_one_wrong_answer_among_several(self, fcn, here):
        (here / "a.py").write_text(f"{in_one_file()}\n\n{FIRST.asked} = len\n")
        status, out, _ = fcn("exercise", LESSON, "--check", "a.py")
        assert status == 1
        assert f"exercise {FIRST.name} is not right yet\n" in out
        assert out.count("is right\n") == len(OURS) - 1

    def test_a_file_that_is_not_python(self, fcn, here):
        (here / "a.py").write_text("def f(:\n")
        status, out, err = fcn("exercise", LESSON, "--check", "a.py")
        assert (status, out, err) == (1, "a.py, line 1: this is not valid Python yet: invalid syntax\n", "")

    def test_an_endless_loop(self, fcn, here):
        (here / FIRST.file_name).write_text("while True:\n    pass\n")
        status, out, _ = fcn("exercise", LESSON, "--check", FIRST.file_name, "--time-limit", "1")
        assert status == 1
        assert "did not end within 1 s. It was at line " in out


class TestSolution:
    def test_it_is_a_python_file_that_is_right(self, done, here):
        out = done("exercise", LESSON, "--solution")
        compile(out, "solution", "exec")
        (here / "copy.py").write_text(out)
        assert done("exercise", LESSON, "--check", "copy.py").count("is right") == len(OURS)

    def test_of_one(self, done):
        assert done("exercise", LESSON, FIRST.number, "--solution") == FIRST.solution

    def test_it_writes_no_file(self, done, here):
        done("exercise", LESSON, "--solution")
        assert list(here.iterdir()) == []


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ([99], "there is no lesson '99'; the lessons are: "),
            (["nowhere"], "there is no lesson 'nowhere'"),
            ([LESSON, 9], "lesson 0 has no exercise 9; it has: 1, 2, 3"),
            ([LESSON, "--check", "gone.py"], "there is no file gone.py"),
            ([LESSON, 1, "--check", "gone.py"], "there is no file gone.py"),
            ([LESSON, "--check", "."], ". is a folder"),
            ([LESSON, "--seed", "-1"], "--seed must be 0 or more; got -1"),
            ([LESSON, "--check", "a.py", "--solution"], "not allowed with"),
            ([LESSON, "--time-limit", "0"], "--time-limit"),
            ([LESSON, "one"], "invalid int value: 'one'"),
            ([], "required: N"),
        ],
    )
    def test_words(self, mistake, words, said):
        assert said in mistake("exercise", *words)

    def test_a_lesson_without_exercises(self, mistake, monkeypatch, here):
        monkeypatch.setattr("fcn_from_scratch.lab.exercises.files.EXERCISES", here)
        assert "lesson 0 has no exercises" in mistake("exercise", LESSON)

    def test_a_file_of_another_lesson(self, mistake, here):
        (here / "exercise_7_2.py").write_text("x = 1")
        line = mistake("exercise", LESSON, "--check", "exercise_7_2.py")
        assert line == (
            "fcn: exercise_7_2.py answers exercise 7.2: check it by `fcn exercise 7 --check exercise_7_2.py`\n"
        )

    def test_a_file_that_answers_nothing(self, mistake, here):
        (here / "a.py").write_text("x = 1")
        assert "a.py defines none of the functions that the exercises of lesson 0 ask for" in mistake(
            "exercise", LESSON, "--check", "a.py"
        )

    def test_a_binary_file(self, mistake, here):
        (here / "a.py").write_bytes(bytes(range(256)))
        assert "a.py is not a text file" in mistake("exercise", LESSON, "--check", "a.py")


def test_the_exercises_of_the_course_lie_beside_its_lessons():
    assert EXERCISES.name == "exercises"
    assert EXERCISES.parent.name == "lessons"
