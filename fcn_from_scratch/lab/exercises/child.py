"""The process that checks one exercise: started by process.py, which tells it what to do in one argument.

It writes the verdict into a file, since stdout belongs to the reader: "" if the answer is right, else the message.
If the time is over, faulthandler writes where the program is, and ends the process.
"""

import faulthandler
import json
import sys
from pathlib import Path

from fcn_from_scratch.lab.exercises.checking import check
from fcn_from_scratch.lab.exercises.files import Exercise, Wrong


def main(argument):
    order = json.loads(argument)
    lesson, number, file = order["exercise"]
    sys.path.append(str(Path(order["path"]).resolve().parent))  # a reader may import a file of their own
    with open(order["stack"], "w", encoding="utf-8") as stack:
        faulthandler.dump_traceback_later(order["time_limit"], exit=True, file=stack)
        try:
            check(Exercise(lesson, number, Path(file)), order["path"], order["seed"])
            message = ""
        except Wrong as error:
            message = str(error)
        faulthandler.cancel_dump_traceback_later()
    Path(order["verdict"]).write_text(message, encoding="utf-8")
