"""The course's own files: the lessons with their exercises, and the drawn sample of PASCAL VOC's layout.

In a checkout they lie beside the package. An installed package has a copy inside, which setup.py puts there.
"""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
INSIDE = PACKAGE / "course_files"  # of an installed package
HOME = INSIDE if INSIDE.is_dir() else PACKAGE.parent
LESSONS = HOME / "lessons"
EXERCISES = LESSONS / "exercises"
SAMPLE = HOME / "data" / "sample"
