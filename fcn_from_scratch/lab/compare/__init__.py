"""Every way to a dense prediction, side by side: what `fcn compare` does.

stages      what is trained, as data: one trunk, and the networks that start from it
patches     the batches from which the trunk learns what is what
nets        training the stages, or reading them from the cache
methods     the ways to predict, as data: whose weights, and how scores come to the image
predictors  these ways as functions of the image: as trained, shift-and-stitch, rarefied
measuring   quality, time, memory and work of each
remarks     do the tricks agree; one pass against crop by crop
report      the table as text, CSV and JSON
figure      the same as one slide
"""

from fcn_from_scratch.lab.compare.measuring import Row, measure
from fcn_from_scratch.lab.compare.methods import METHODS, Method
from fcn_from_scratch.lab.compare.nets import Nets
from fcn_from_scratch.lab.compare.predictors import Rarefied, Stitched, Whole, predictor
from fcn_from_scratch.lab.compare.training_plan import STAGES, Settings, Stage

__all__ = [
    "METHODS",
    "STAGES",
    "Method",
    "Nets",
    "Rarefied",
    "Row",
    "Settings",
    "Stage",
    "Stitched",
    "Whole",
    "measure",
    "predictor",
]
