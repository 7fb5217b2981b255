"""Networks by name.

build("mini_fcn8s", num_classes=6)   a network of lesson size: VGG's shape with few channels
build("fcn8s", num_classes=21)       the paper's network, on VGG16

the paper's data set         the network here
PASCAL VOC                   fcn32s, fcn16s, fcn8s, fcn8s_atonce, fcn_alexnet, fcn_googlenet; 21 classes
PASCAL-Context               the same with num_classes=60
NYUDv2, colour or HHA alone  fcn32s with num_classes=40
NYUDv2, early fusion         fcn32s with num_classes=40, in_channels=4
NYUDv2, late fusion          fcn32s_late_fusion with num_classes=40
SIFT Flow                    fcn32s_two_heads, fcn16s_two_heads, fcn8s_two_heads with num_classes=(33, 3)

another way to fine scores   the network here, at lesson size with mini_
dilation, without skips      fcn8s_dilated
features stacked, as U-Net   fcn8s_concat
a decoder with unpooling     unpool_vgg16; at lesson size mini_unpool
"""

import inspect
from functools import partial

import numpy as np

from fcn_from_scratch.datasets import CAFFE, VOC_MEAN_BGR, Preprocess
from fcn_from_scratch.layers.conv import ZeroInit
from fcn_from_scratch.models import alexnet, googlenet, multimodal, multitask, vgg
from fcn_from_scratch.models.fcn import FCN
from fcn_from_scratch.models.head import UPSAMPLING
from fcn_from_scratch.models.surgery import Transplant, transplant, with_depth
from fcn_from_scratch.models.zero_frame import ZeroFrame, with_zero_frame

__all__ = [
    "FCN",
    "NAMES",
    "UPSAMPLING",
    "Transplant",
    "ZeroFrame",
    "build",
    "transplant",
    "with_depth",
    "with_zero_frame",
]

# name: (the function that reads the trunk's options, the function that builds on the trunk)
_BUILDERS = {
    "mini_classifier": (vgg.mini_config, vgg.classifier),
    "mini_fcn32s": (vgg.mini_config, partial(vgg.fcn, stride="32s")),
    "mini_fcn16s": (vgg.mini_config, partial(vgg.fcn, stride="16s")),
    "mini_fcn8s": (vgg.mini_config, partial(vgg.fcn, stride="8s")),
    "mini_fcn8s_atonce": (vgg.mini_config, partial(vgg.fcn, stride="8s", at_once=True)),
    "mini_fcn4s": (vgg.mini_config, partial(vgg.fcn, stride="4s")),
    "mini_unpool": (vgg.mini_config, vgg.unpool),
    "mini_fcn8s_dilated": (partial(vgg.mini_config, pad=None), vgg.dilated),
    "mini_fcn8s_concat": (vgg.mini_config, vgg.concat),
    "mini_fcn32s_two_heads": (vgg.mini_config, partial(multitask.two_heads, stride="32s")),
    "mini_fcn16s_two_heads": (vgg.mini_config, partial(multitask.two_heads, stride="16s")),
    "mini_fcn8s_two_heads": (vgg.mini_config, partial(multitask.two_heads, stride="8s")),
    "mini_fcn32s_late_fusion": (partial(vgg.mini_config, in_channels=(3, 3)), multimodal.late_fusion),
    "fcn32s": (vgg.vgg16_config, partial(vgg.fcn, stride="32s")),
    "fcn16s": (vgg.vgg16_config, partial(vgg.fcn, stride="16s")),
    "fcn8s": (vgg.vgg16_config, partial(vgg.fcn, stride="8s")),
    "fcn8s_atonce": (vgg.vgg16_config, partial(vgg.fcn, stride="8s", at_once=True)),
    "fcn8s_dilated": (partial(vgg.vgg16_config, pad=None), vgg.dilated),
    "fcn8s_concat": (vgg.vgg16_config, vgg.concat),
    "unpool_vgg16": (vgg.vgg16_config, vgg.unpool),
    "fcn_alexnet": (alexnet.config, alexnet.fcn),
    "fcn_googlenet": (googlenet.config, googlenet.fcn),
    "fcn32s_two_heads": (vgg.vgg16_config, partial(multitask.two_heads, stride="32s")),
    "fcn16s_two_heads": (vgg.vgg16_config, partial(multitask.two_heads, stride="16s")),
    "fcn8s_two_heads": (vgg.vgg16_config, partial(multitask.two_heads, stride="8s")),
    "fcn32s_late_fusion": (partial(vgg.vgg16_config, in_channels=(3, 3)), multimodal.late_fusion),
}
NAMES = tuple(_BUILDERS)
HEAD_OPTIONS = ("fusion", "upsampling")

# The lesson-size networks start from random weights and need inputs of about unit variance. The paper's networks start
# from Caffe's VGG16, which was trained on differences from the mean of up to 150.
MINI_TRANSFORM = Preprocess(mean=VOC_MEAN_BGR, std=(60.0, 60.0, 60.0), depth_std=60.0)


def build(name, num_classes=21, *, seed=0, dtype=np.float32, **options):
    """Build a new network.

    num_classes  the number of classes; for two heads a pair, (semantic, geometric)
    seed         the seed of the random numbers from which the weights are drawn; dropout goes on with the same
                 generator. None leaves the weights zero, for a network whose weights are read from a file next
    options      the trunk's options: width, pad, dropout, in_channels, and for VGG also fc6_kernel, fc6_padding, convs.
                 in_channels=4 is early fusion, colours and depth; for late fusion it is a pair, (3, 3)
                 The head's options: upsampling ("fixed", "learned", "all_learned" or "nearest") and fusion ("average"
                 or "sum")
    The network keeps `name` and `options`, with num_classes among them, so that it can be built again. Its `transform`
    is the preprocessing that its weights expect.
    Raises: ValueError for a name or an option that does not exist; the message lists the right ones.
    """
    if name not in _BUILDERS:
        raise ValueError(f"there is no model {name!r}; the models are {', '.join(NAMES)}")
    configure, construct = _BUILDERS[name]
    trunk_options = inspect.signature(configure).parameters
    head_options = [key for key in HEAD_OPTIONS if key in inspect.signature(construct).parameters]
    unknown = [key for key in options if key not in trunk_options and key not in head_options]
    if unknown:
        raise ValueError(
            f"{name} has no option {unknown[0]!r}; its options are {', '.join([*trunk_options, *head_options])}"
        )
    config = configure(**{key: value for key, value in options.items() if key in trunk_options})
    head = {key: value for key, value in options.items() if key in head_options}
    rng = ZeroInit(np.random.PCG64(0)) if seed is None else np.random.default_rng(seed)
    net = construct(config, num_classes=num_classes, rng=rng, dtype=dtype, name=name, **head)
    net.options = {"num_classes": num_classes, **options}
    net.transform = MINI_TRANSFORM if name.startswith("mini") else CAFFE
    return net
