"""Training in one call, with the settings that suit the lesson-size networks."""

from fcn_from_scratch import weights
from fcn_from_scratch.datasets import Batches
from fcn_from_scratch.training.loop import Trainer
from fcn_from_scratch.training.optim import SGD, polynomial, warm_up


def fit(model, dataset, steps, lr, batch_size=8, momentum=0.9, weight_decay=5e-4, seed=0, device="cpu", progress=True):
    """Train a model on a dataset for some steps. Returns: the Trainer, whose `losses` holds the loss of each step.

    The loss is the mean over the pixels that count. The learning rate rises over the first twenty steps, because the
    first gradients are large, and falls to zero at the end. Use Trainer for any other settings.

    model.transform becomes that of weights.feed: what the model's weights record, else what the data set's published
    code fed, else the model's own. From then on the weights record it.
    """
    weights.feed(model, dataset)
    weights.trained(model, dataset)
    schedule = warm_up(polynomial(lr, steps), min(20, steps // 5))
    batches = Batches(dataset, batch_size, model.transform, seed=seed)
    trainer = Trainer(model.to(device), SGD(model, schedule, momentum, weight_decay), batches, device=device)
    return trainer.run(steps, progress)
