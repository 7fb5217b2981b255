"""What setup.cfg cannot say: a wheel carries the lessons, their exercises and the drawn sample inside the package.

They lie beside the package in a checkout (see fcn_from_scratch/resources.py). A wheel that is built without them, as
the site builds it for the browser, simply has none.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FILES = ("lessons/*.py", "lessons/exercises/*.py", "data/sample/**/*.*")


class WithTheCourse(build_py):
    """Copy the course's files into the package that is built."""

    def run(self):
        super().run()
        if not self.editable_mode:  # an editable package finds them in the checkout
            for source, target in self._course():
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode=True):
        return super().get_outputs(include_bytecode) + [target for _, target in self._course()]

    def _course(self):
        inside = Path(self.build_lib, "fcn_from_scratch", "course_files")
        found = sorted(path for pattern in FILES for path in Path().glob(pattern))
        return [(str(path), str(inside / path)) for path in found]


setup(cmdclass={"build_py": WithTheCourse})
