"""The loss of a training step, and one pass forward and back that gives its gradients."""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch.layers import fused
from fcn_from_scratch.ops import softmax_cross_entropy
from fcn_from_scratch.training.pair_heads import pair_heads


class Objective(NamedTuple):
    """What is minimised. See Trainer for the settings. It can be sent to another process (engine.part_processes)."""

    reduction: str
    ignore_index: int
    class_weight: object = None

    def __call__(self, model, x, labels, shares=None):
        """Forward, loss and backward of a batch or of a part of it. Adds to the model's grads. Returns: the loss."""
        with fused.unobserved(model), np.errstate(over="ignore", invalid="ignore"):
            loss, dscores = self.loss(model(x), labels, shares)
            model.backward_params(dscores)
        return loss

    def loss(self, scores, labels, shares=None):
        """Return (loss, dscores). With several heads the losses are added, and dscores is a tuple.

        shares   for each head, the weight of this part in the mean over a batch (engine.loss_shares); None: all of it
        """
        pairs = pair_heads(scores, labels)
        shares = (1.0,) * len(pairs) if shares is None else shares
        weights = (self.class_weight, *(None,) * (len(pairs) - 1))
        total, gradients = 0.0, []
        for (each, ids), share, weight in zip(pairs, shares, weights):
            loss, dscores = softmax_cross_entropy(each, ids, self.ignore_index, self.reduction, weight)
            if share != 1:
                dscores *= share
            total, gradients = total + float(loss) * share, [*gradients, dscores]
        return total, tuple(gradients) if isinstance(scores, tuple) else gradients[0]
