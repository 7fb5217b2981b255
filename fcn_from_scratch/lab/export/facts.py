"""What an exported file says about its network. Without the preprocessing its weights would be useless."""

import json

from fcn_from_scratch import __version__
from fcn_from_scratch.weights import preprocessing


def facts(model, extra):
    """The facts as a dict of strings, which every format can hold.

    producer   the name and version of this project
    model      the name of the network in models.NAMES
    input      how a picture becomes the network's input, in words
    options, transform, classes, palette   JSON: the arguments of models.build, the fields of datasets.Preprocess, the
               names of the classes, and a colour (red, green, blue) for each class

    extra      the facts of the model's checkpoint. "classes" and "palette" are taken from it if it has them
    weights.read_file turns the JSON back into values. So a command that reads the file knows what a checkpoint knows.
    """
    transform = getattr(model, "transform", None)
    values = {"options": getattr(model, "options", None), "transform": transform and transform.as_dict()}
    values |= {key: extra.get(key) for key in ("classes", "palette")}
    found = {"producer": f"fcn_from_scratch {__version__}", "model": model.name or type(model).__name__}
    if transform is not None:
        found["input"] = f"{preprocessing.describe(transform)}; exact numbers in `transform`"
    return found | {key: json.dumps(value) for key, value in values.items() if value is not None}
