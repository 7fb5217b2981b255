"""Weights from files: read(path) gives the arrays; load(model, path) puts them into a network and reports on each."""

from fcn_from_scratch.weights.formats import MODEL_PREFIX, Content, parameters, read_file
from fcn_from_scratch.weights.identity import recorded_options, told_model, told_options
from fcn_from_scratch.weights.loading import Report, fill, load, match, read
from fcn_from_scratch.weights.network_input import Source, channels_of, describe, feed, recorded, source, trained
from fcn_from_scratch.weights.preprocessing import PREPROCESSING

__all__ = [
    "MODEL_PREFIX",
    "PREPROCESSING",
    "Content",
    "Report",
    "Source",
    "channels_of",
    "describe",
    "feed",
    "fill",
    "load",
    "match",
    "parameters",
    "read",
    "read_file",
    "recorded",
    "recorded_options",
    "source",
    "told_model",
    "told_options",
    "trained",
]
