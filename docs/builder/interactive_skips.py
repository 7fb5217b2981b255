"""The numbers of the figure of the skips: small networks, trained as in lesson 12, and what they predict.

Training takes about a minute. The result is kept in build/site/cache under a hash of the package and of this
file, so it is computed again only when one of the two changes.
"""

import base64
import hashlib
import io
import json
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

import fcn_from_scratch
from fcn_from_scratch import datasets, models, ops
from fcn_from_scratch.metrics import ConfusionMatrix
from fcn_from_scratch.training import SGD, Trainer, polynomial, warm_up
from fcn_from_scratch.training.optim import CAFFE_MULTIPLIERS

CACHE = Path(__file__).resolve().parents[2] / "build" / "site" / "cache" / "play"
SEED = 0  # of lesson 12, whose numbers these are
WIDTH, STEPS, UNSEEN = 12, 240, 80
RATES = {"32s": 0.04, "16s": 0.04, "8s": 0.08}  # all at once
STAGED = "8s in stages"
STAGE_RATE = 0.04
HEADS = ("score_fr", "score_pool4", "score_pool3")
SCENES = (5, 12, 21, 28)  # of the unseen scenes, those that are shown


def skips_data(cache=CACHE):
    """The figure's numbers, from the cache if they are there."""
    kept = Path(cache) / f"skips-{_hash()}.json"
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8"))
    found = predictions(*train())
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(found), encoding="utf-8")
    return found


def _hash():
    """A short hash of every Python file of the package, and of this file."""
    files = sorted(Path(fcn_from_scratch.__file__).parent.rglob("*.py"))
    digest = hashlib.sha256()
    for path in [*files, Path(__file__)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def train(steps=STEPS, count=600, unseen=UNSEEN):
    """Train FCN-32s, 16s and 8s from one classifier, all at once, and FCN-8s in stages, with as many steps in all.

    Returns: (networks by name, unseen scenes).
    """
    options = {"size": 64, "seed": SEED, "classes_by": "colour"}
    scenes = datasets.InMemory(datasets.Shapes(count=count, split="train", **options))
    val = datasets.InMemory(datasets.Shapes(count=unseen, split="val", **options))
    classifier = _classifier(datasets.Shapes(count=500, things=1, **options), min(steps, 120))
    nets = {stride: _learn(stride, classifier, scenes, rate, steps) for stride, rate in RATES.items()}
    start = classifier
    for stride in RATES:
        start = _learn(stride, start, scenes, STAGE_RATE, steps // len(RATES))
    return {**nets, STAGED: start}, val


def _learn(stride, start, scenes, rate, steps):
    """A network that begins with the parameters of another one and is trained."""
    net = models.build(f"mini_fcn{stride}", len(scenes.classes), width=WIDTH, fc6_kernel=2, seed=SEED)
    models.transplant(net, start)
    schedule = warm_up(polynomial(rate, steps), min(20, steps // 5))
    optimizer = SGD(net, schedule, weight_decay=5e-4, multipliers=CAFFE_MULTIPLIERS)
    Trainer(net, optimizer, datasets.Batches(scenes, 8, net.transform, seed=SEED)).run(steps, progress=False)
    return net.eval()


def _classifier(single, steps):
    """A classifier of pictures that show a single thing."""
    net = models.build("mini_classifier", len(single.classes), width=WIDTH, fc6_kernel=2, seed=SEED)
    samples = list(single)
    words = np.array([sample.labels[sample.labels != single.ignore_index].max() for sample in samples])
    pictures = np.stack([net.transform(sample.image) for sample in samples])
    optimizer = SGD(net, warm_up(polynomial(0.01, steps), min(20, steps // 5)), weight_decay=5e-4)
    for batch in np.random.default_rng([SEED, 11]).integers(0, 400, (steps, 16)):
        net.zero_grad()
        _, dscores = ops.softmax_cross_entropy(net(pictures[batch]), words[batch])
        net.backward_params(dscores)
        optimizer.step()
    return net


def predictions(nets, val, shown=None):
    """What the networks predict, with each set of score layers, as pictures; and the scores on all unseen scenes.

    A way is the name of a network, or for the two FCN-8s its name and three digits, 1 for each score layer that is on.
    """
    x = np.stack([nets["8s"].transform(sample.image) for sample in val])
    labels = np.stack([sample.labels for sample in val])
    ways = {stride: nets[stride](x).argmax(axis=1) for stride in ("32s", "16s")}
    for name in ("8s", STAGED):
        for switches in every_switch():
            ways[f"{name} {''.join('01'[on] for on in switches)}"] = switched(nets[name], x, switches)
    colours = [tuple(map(int, val.palette[label])) for label in range(len(val.classes))]
    return {
        "heads": HEADS,
        "classes": val.classes,
        "colours": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours],
        "unseen": len(val),
        "scenes": [
            {
                "image": _photo(val[n].image),
                "truth": _label_picture(labels[n], colours),
                "ways": {way: _label_picture(guess[n], colours) for way, guess in ways.items()},
                "accuracy": {way: _scores(val, labels[n], guess[n])["pixel_accuracy"] for way, guess in ways.items()},
            }
            for n in shown or SCENES
        ],
        "scores": {way: _scores(val, labels, guess) for way, guess in ways.items()},
    }


def every_switch():
    """Every set of score layers, as a tuple of booleans in the order of HEADS."""
    return list(product((False, True), repeat=len(HEADS)))


def switched(net, x, switches):
    """The classes that FCN-8s predicts when the score layers that are switched off give zeros."""
    kept = {name: value.copy() for name, value in net.params.items()}
    for name, on in zip(HEADS, switches):
        for kind in ("weight", "bias"):
            if not on:
                net.params[f"{name}.{kind}"][...] = 0
    found = net(x).argmax(axis=1)
    for name, value in kept.items():
        net.params[name][...] = value
    return found


def _scores(val, labels, guess):
    scores = ConfusionMatrix(len(val.classes)).update(labels, guess).scores()
    return {name: round(value, 4) for name, value in scores.items()}


def _photo(image):
    return _data_address(Image.fromarray(image), "jpeg", quality=92, subsampling=0)


def _label_picture(labels, colours):
    """A label map in colour, as a small indexed PNG. Void is white."""
    picture = Image.fromarray(np.where(labels == 255, len(colours), labels).astype(np.uint8), "P")
    picture.putpalette([value for colour in [*colours, (255, 255, 255)] for value in colour])
    return _data_address(picture, "png", optimize=True)


def _data_address(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
