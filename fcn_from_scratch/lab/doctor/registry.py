"""What a check is, and the list of all checks."""

from typing import NamedTuple

LEVELS = ("ok", "note", "warning", "serious")


class Finding(NamedTuple):
    """A result of a check: its level (one of LEVELS), what was found, and what to do about it."""

    level: str
    text: str
    remedy: str = ""


class Check(NamedTuple):
    """A question about a Case.

    name      the function's name
    question  in words, with the usual mistakes
    remedy    what usually helps; a Finding may have its own remedy
    needs     names of the Case's attributes that the check needs: "model", "weights", "dataset", "lr", ...
    look      function of the Case; yields Findings, or none when all is well
    """

    name: str
    question: str
    remedy: str
    needs: tuple
    look: object

    def findings(self, case):
        """The list of Findings, each with a remedy; None if the case lacks what the check needs."""
        if any(getattr(case, need) is None for need in self.needs):
            return None
        return [
            found if found.remedy or found.level in ("ok", "note") else found._replace(remedy=self.remedy)
            for found in self.look(case)
        ]


CHECKS = []


def check(question, remedy="", needs=()):
    """A decorator that adds a generator of Findings to CHECKS under the function's name."""

    def register(look):
        CHECKS.append(Check(look.__name__, question, remedy, tuple(needs), look))
        return look

    return register


def serious(text, remedy=""):
    """A Finding that makes good results impossible."""
    return Finding("serious", text, remedy)


def warning(text, remedy=""):
    """A Finding that is probably a mistake."""
    return Finding("warning", text, remedy)


def note(text, remedy=""):
    """A Finding that is good to know."""
    return Finding("note", text, remedy)


def fine(text):
    """A Finding that all is well, with the numbers that show it."""
    return Finding("ok", text)
