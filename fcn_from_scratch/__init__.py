"""Fully convolutional networks for semantic segmentation, written out by hand."""

__all__ = ["__version__", "plain"]
__version__ = "0.1.0"


def plain(on=True):
    """Inside `with plain():` the plain code of `ops` computes everything: see backend.plain."""
    from fcn_from_scratch import backend  # it loads NumPy, which the command line does after it can be stopped

    return backend.plain(on)
