"""All ways to a dense prediction, side by side: the code of `fcn compare`.

training_plan     the stages of training as data: one trunk, and the networks that start from it
labelled_patches  the batches from which the trunk learns to classify
trunk_file        a trunk that was trained elsewhere
tuning            the learning rate of every stage, chosen on one grid
nets              trains the stages, or reads them from the cache
methods           the methods of prediction as data: the weights, and how scores become predictions for all pixels
predictors        the methods as functions of the image: as trained, shift-and-stitch, rarefied
scoring           the quality of each method on labelled pictures
measuring         time, memory and work of each method, and whether the machine was quiet
summary           the rows of the table: means over seeds, their spread, differences to 32s
footnotes         facts below the table: whether the tricks agree, and one pass compared with single crops
report            the table as text, CSV and JSON
provenance        command, version, date, steps and seeds
figure            the table with pictures, as slides
"""

from fcn_from_scratch.lab.compare.methods import METHODS, Method
from fcn_from_scratch.lab.compare.nets import Nets
from fcn_from_scratch.lab.compare.predictors import Rarefied, Stitched, Whole, predictor
from fcn_from_scratch.lab.compare.scoring import score
from fcn_from_scratch.lab.compare.summary import Row, Spread, summarize
from fcn_from_scratch.lab.compare.training_plan import STAGES, Settings, Stage

__all__ = [
    "METHODS",
    "STAGES",
    "Method",
    "Nets",
    "Rarefied",
    "Row",
    "Settings",
    "Spread",
    "Stage",
    "Stitched",
    "Whole",
    "predictor",
    "score",
    "summarize",
]
