"""Weights from files: read(path) gives the arrays; load(model, path) puts them into a network and reports on each."""

from fcn_from_scratch.weights.formats import MODEL_PREFIX, Content, parameters, read_file
from fcn_from_scratch.weights.identity import recorded_options, told_model, told_options
from fcn_from_scratch.weights.loading import Report, fill, load, match, read
from fcn_from_scratch.weights.preprocessing import PREPROCESSING

__all__ = [
    "MODEL_PREFIX",
    "PREPROCESSING",
    "Content",
    "Report",
    "fill",
    "load",
    "match",
    "parameters",
    "read",
    "read_file",
    "recorded_options",
    "told_model",
    "told_options",
]
