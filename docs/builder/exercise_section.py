"""The exercises of a lesson as a part of its page: what is asked, a file to begin with, and a folded solution."""

import ast

from page_parts import folded

from fcn_from_scratch.lab import exercises

# live.js shows it where lessons can run live
LIVE = (
    '<p class="live-hint" hidden>Or answer here, in the browser: press <a href="#live">Run live</a> at the top of this '
    "page. Then each exercise below gets an editor for your answer and a button <strong>Check</strong>, which says "
    "whether the answer is right, or gives a hint.</p>\n\n"
)


def exercise_section(lesson):
    """Markdown with one subsection for each exercise."""
    return LIVE + "\n".join(_subsection(exercise) for exercise in exercises.of_lesson(lesson))


def _subsection(exercise):
    title, _, task = ast.get_docstring(ast.parse(exercise.solution)).partition("\n")
    solution = folded("Our solution", f"```python\n{code_of(exercise.solution)}\n```")
    download = f'<p><a href="{exercise.file_name}" download>{exercise.file_name}</a>, the file to begin with</p>'
    target = f"(exercise-{exercise.lesson}-{exercise.number})="
    return f"{target}\n### {title.rstrip('.')}\n\n{task.strip()}\n\n{download}\n\n{solution}\n"


def code_of(source):
    """An exercise's text after its docstring, which its page shows by itself."""
    docstring = ast.parse(source).body[0]
    return "\n".join(source.splitlines()[docstring.end_lineno :]).strip()
