"""How fast the networks run here, beside PyTorch: what `fcn bench` does.

work        what is measured, as data: a network, a picture, a forward or a training step; its multiply-adds
numpy_rival torch_rival   the same work in NumPy and in PyTorch, behind the same methods
torch_twin  any network of ours, computed by PyTorch
processes   a rival in a process of its own: its threads, its memory
ceiling     the fastest matrix product this machine makes
timing      rivals in turn; medians
measuring   all of it in one run
report      the numbers as a table, CSV and JSON
chart       the same as bars

PyTorch is imported in torch_rival's process alone, and only if it is asked to compete.
"""

from fcn_from_scratch.bench.measuring import RIVALS, Result, Row, measure
from fcn_from_scratch.bench.work import LESSON, Work

__all__ = ["LESSON", "RIVALS", "Result", "Row", "Work", "measure"]
