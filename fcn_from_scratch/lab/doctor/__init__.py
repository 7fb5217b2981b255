"""What may be wrong with a machine, labels, weights or settings: `fcn doctor`.

Each check is one small function that asks one question of a Case and yields Findings: how bad, what, what to do.

environment    is this machine fit?
labels         can anything be learned from these labels?
network        is the network whole, alive, and the one its weights belong to?
preprocessing  do the weights get the pictures they were trained on?
size           do the pictures fit the network, and the network the memory?
settings       will these settings train?
"""

from fcn_from_scratch.lab.doctor import environment, labels, network, preprocessing, settings, size
from fcn_from_scratch.lab.doctor.case import Case
from fcn_from_scratch.lab.doctor.registry import CHECKS, LEVELS, Check, Finding

__all__ = [
    "CHECKS",
    "LEVELS",
    "Case",
    "Check",
    "Finding",
    "environment",
    "examine",
    "labels",
    "network",
    "preprocessing",
    "settings",
    "size",
]


def examine(case, only=None):
    """Yield (Check, its Findings) for every check that the case has something to ask of; `only` names some."""
    for check in CHECKS:
        if only is None or check.name in only:
            findings = check.findings(case)
            if findings is not None:
                yield check, findings
