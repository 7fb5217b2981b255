"""Networks by name.

build("mini_fcn8s", num_classes=6)   lesson size: VGG's shape with few channels
build("fcn8s", num_classes=21)       the paper's, on VGG16
"""

import inspect
from functools import partial

import numpy as np

from fcn_from_scratch.datasets import CAFFE, VOC_MEAN_BGR, Preprocess
from fcn_from_scratch.models import vgg
from fcn_from_scratch.models.fcn import FCN, UPSAMPLING
from fcn_from_scratch.models.surgery import Transplant, transplant

__all__ = ["FCN", "NAMES", "UPSAMPLING", "Transplant", "build", "transplant"]

# name: (the function that reads the trunk's options, the function that builds on the trunk)
_BUILDERS = {
    "mini_classifier": (vgg.mini_config, vgg.classifier),
    "mini_fcn32s": (vgg.mini_config, partial(vgg.fcn, stride="32s")),
    "mini_fcn16s": (vgg.mini_config, partial(vgg.fcn, stride="16s")),
    "mini_fcn8s": (vgg.mini_config, partial(vgg.fcn, stride="8s")),
    "mini_fcn8s_atonce": (vgg.mini_config, partial(vgg.fcn, stride="8s", at_once=True)),
    "mini_fcn4s": (vgg.mini_config, partial(vgg.fcn, stride="4s")),
    "fcn32s": (vgg.vgg16_config, partial(vgg.fcn, stride="32s")),
    "fcn16s": (vgg.vgg16_config, partial(vgg.fcn, stride="16s")),
    "fcn8s": (vgg.vgg16_config, partial(vgg.fcn, stride="8s")),
    "fcn8s_atonce": (vgg.vgg16_config, partial(vgg.fcn, stride="8s", at_once=True)),
}
NAMES = tuple(_BUILDERS)

# The lesson-size networks start from random weights, for which inputs of about unit variance are right; the paper's
# start from Caffe's VGG16, which was trained on differences of up to 150.
MINI_TRANSFORM = Preprocess(mean=VOC_MEAN_BGR, std=(60.0, 60.0, 60.0))


def build(name, num_classes=21, *, seed=0, dtype=np.float32, **options):
    """A new network of the given name.

    seed     of the random numbers its weights are drawn from; dropout goes on with the same generator
    options  the trunk's (width, pad, fc6_kernel, fc6_padding, dropout, convs) and the head's (upsampling: "fixed",
             "learned" or "all_learned")
    The network keeps `name` and `options` (num_classes among them), with which it can be built again, and in
    `transform` the preprocessing its weights expect.
    Raises: ValueError for a name or an option that does not exist; the right ones are listed.
    """
    if name not in _BUILDERS:
        raise ValueError(f"there is no model {name!r}; the models are {', '.join(NAMES)}")
    configure, construct = _BUILDERS[name]
    trunk_options = inspect.signature(configure).parameters
    head_options = () if "classifier" in name else ("upsampling",)
    unknown = [key for key in options if key not in trunk_options and key not in head_options]
    if unknown:
        raise ValueError(
            f"{name} has no option {unknown[0]!r}; its options are {', '.join([*trunk_options, *head_options])}"
        )
    config = configure(**{key: value for key, value in options.items() if key in trunk_options})
    head = {key: value for key, value in options.items() if key in head_options}
    rng = np.random.default_rng(seed)
    net = construct(config, num_classes=num_classes, rng=rng, dtype=dtype, name=name, **head)
    net.options = {"num_classes": num_classes, **options}
    net.transform = MINI_TRANSFORM if configure is vgg.mini_config else CAFFE
    return net
