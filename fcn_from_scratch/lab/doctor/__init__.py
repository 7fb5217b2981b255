"""Look for mistakes in a machine's setup, labels, weights or settings: the code of `fcn doctor`.

A Case holds what is examined. Each check is a small function that answers one question about a Case. It yields
Findings: how bad something is, what it is, and what to do about it.

environment    can this machine run the project?
labels         can a network learn from these labels?
network        are the weights complete, of the right network, and is the network alive?
preprocessing  are the pictures prepared as the weights expect?
size           do the pictures fit the network, and does everything fit into memory?
settings       can a network train with these settings?
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
    """Yield (Check, its Findings) for each check that applies to the case; `only` limits it to some names."""
    for check in CHECKS:
        if only is None or check.name in only:
            findings = check.findings(case)
            if findings is not None:
                yield check, findings
