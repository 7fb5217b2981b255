"""Fully convolutional networks for semantic segmentation, written out by hand."""

from fcn_from_scratch.backend import plain

__all__ = ["__version__", "plain"]
__version__ = "0.1.0"
