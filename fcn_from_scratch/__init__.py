"""Fully convolutional networks for semantic segmentation, written out by hand."""

__version__ = "0.1.0"
