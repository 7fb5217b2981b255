"""What a check is, and the list of all of them."""

from typing import NamedTuple

LEVELS = ("ok", "note", "warning", "serious")


class Finding(NamedTuple):
    """What a check found: how bad (one of LEVELS), what, and what to do about it."""

    level: str
    text: str
    remedy: str = ""


class Check(NamedTuple):
    """A question that can be asked of a Case.

    needs    names of what the case must have for it: "model", "weights", "dataset", "lr", ...
    remedy   what usually helps; a finding may know better
    look     function of the case; yields Findings, none when all is well
    """

    name: str
    question: str
    remedy: str
    needs: tuple
    look: object

    def findings(self, case):
        """The findings, each with a remedy; [] is good news. None when the case has nothing to ask it of."""
        if any(getattr(case, need) is None for need in self.needs):
            return None
        return [
            found if found.remedy or found.level in ("ok", "note") else found._replace(remedy=self.remedy)
            for found in self.look(case)
        ]


CHECKS = []


def check(question, remedy="", needs=()):
    """A decorator that makes a generator of Findings one of CHECKS, under its own name."""

    def register(look):
        CHECKS.append(Check(look.__name__, question, remedy, tuple(needs), look))
        return look

    return register


def serious(text, remedy=""):
    """Nothing good can come of it."""
    return Finding("serious", text, remedy)


def warning(text, remedy=""):
    """Probably a mistake."""
    return Finding("warning", text, remedy)


def note(text, remedy=""):
    """Worth knowing."""
    return Finding("note", text, remedy)


def fine(text):
    """Good, with a number to show for it."""
    return Finding("ok", text)
