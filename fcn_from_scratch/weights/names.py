"""Parameter names of other projects: torchvision's numbers become the paper's names.

Wrappers around a network put a word before each name: `module.conv1_1.weight`. These words are dropped. Networks that
only look like the paper's are recognised and refused.
"""

import re


def _vgg16():
    """torchvision's number of each VGG16 convolution -> its name in the paper.

    torchvision counts every layer. A convolution and its ReLU are two, and the pool after each stage is one more.
    """
    table, number = {}, 0
    for stage, count in enumerate((2, 2, 3, 3, 3), start=1):
        for nth in range(1, count + 1):
            table[number] = f"conv{stage}_{nth}"
            number += 2
        number += 1
    return table


VGG16 = _vgg16()
ALEXNET = {0: "conv1", 3: "conv2", 6: "conv3", 8: "conv4", 10: "conv5"}
# network: (the layers of its `features`, the layers of its `classifier`)
TORCHVISION = {
    "vgg16": (VGG16, {0: "fc6", 3: "fc7", 6: "fc8"}),
    "alexnet": (ALEXNET, {1: "fc6", 4: "fc7", 6: "fc8"}),
}
# what PyTorch's wrappers, trainers, and Chainer put before the names: words, each followed by a dot or a slash
WRAPPERS = re.compile(
    r"((module|model|net|network|predictor|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|(model_)?state_dict|updater|model:main)[./])+"
)
INNER = re.compile(r"(?<=[./])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")  # around a part
NUMBERED = re.compile(r"(features|classifier)\.(\d+)\.(weight|bias)")

RESNET = (
    "it is a torchvision network on another backbone, such as fcn_resnet: dilated, without skips, with another "
    "upsampling. It is none of the paper's networks, and none of its layers fits them"
)
GOOGLENET = (
    "it is torchvision's googlenet, which differs from the paper's: it has batch normalisation and no local response "
    "normalisation, 3x3 kernels where the paper's has 5x5, and a pool4 of 2x2. Use Caffe's GoogLeNet"
)
BATCH_NORM = (
    "it is a network with batch normalisation, such as torchvision's vgg16_bn; the paper's networks have none: use "
    "torchvision's vgg16 or Caffe's VGG16"
)
OTHER_ALEXNET = (
    "torchvision's alexnet differs from the paper's CaffeNet: it has 64, 192, 384, 256 and 256 filters, CaffeNet has "
    "96, 256, 384, 384 and 256; it has no groups and no local response normalisation. Use Caffe's CaffeNet"
)
OTHER_VGG = "the numbers of its layers are those of another VGG, not those of torchvision's vgg16"


def stranger(names):
    """A sentence that says why these are the parameters of a network that only looks like the paper's, or None."""
    names = [bare(name) for name in names]
    if _is_on_a_backbone(names):
        return RESNET
    if any(name.startswith("inception3a.branch1.") for name in names):
        return GOOGLENET
    if any(re.fullmatch(r"features\.\d+\.running_mean", name) for name in names):
        return BATCH_NORM
    numbers = _numbers(names, "features")
    if numbers and torchvision_network(names) is None:
        return OTHER_VGG
    return None


def _is_on_a_backbone(names):
    """Whether the names are those of torchvision's segmentation networks. `backbone.` alone may be anybody's word."""
    parts = [name for name in names if name.startswith("backbone.")]
    heads = any(name.startswith(("classifier.", "aux_classifier.")) for name in names)
    return bool(parts) and (heads or any(re.match(r"backbone\.(body\.)?(layer\d|bn\d|\d+)\.", name) for name in parts))


def torchvision_network(names):
    """ "vgg16" or "alexnet" when the names are torchvision's for that network or for a part of it, else None."""
    features = _numbers([bare(name) for name in names], "features")
    for network, (numbers, _) in TORCHVISION.items():
        if features and features <= numbers.keys():
            return network
    return None


def bare(name):
    """A name without the words of wrappers: module._orig_mod.conv1_1.weight -> conv1_1.weight."""
    words = WRAPPERS.match(name)
    rest = name[words.end() :] if words else name
    return INNER.sub("", rest) or name


def ours(names, wanted=()):
    """This project's name for each name in a file, as a dict. Most names stay as they are.

    torchvision's features.0.weight becomes conv1_1.weight, and so on by the tables above. The words of wrappers are
    dropped; see `bare`.

    wanted  the names of a network. A name that is one of them stays as it is. If none fits otherwise, a beginning that
            all names in the file share is dropped, if the rest then fits.
    """
    found = _translated({name: name if name in wanted else bare(name) for name in names})
    if wanted and not any(name in wanted for name in found.values()):
        for start in _shared_beginnings(names):
            shorter = _translated({name: bare(name[start:]) for name in names})
            if any(name in wanted for name in shorter.values()):
                return shorter
    return found


def dropped(mapped):
    """What a dict from `ours` leaves out of names, mostly nothing: a list such as ["module."]."""
    words = {}
    for name, our in mapped.items():
        rest = our if name.endswith(our) else bare(name)
        if rest != name:
            words[name[: -len(rest)] if name.endswith(rest) else INNER.search(name)[0]] = None
    return list(words)


def _translated(bare_names):
    network = torchvision_network(bare_names.values())
    if network is None:
        return bare_names
    parts = dict(zip(("features", "classifier"), TORCHVISION[network]))
    return {name: _renamed(short, parts) for name, short in bare_names.items()}


def _shared_beginnings(names):
    """The places after each word that all names begin with: [2, 4] for a.b.weight and a.b.bias."""
    first, last = min(names, default=""), max(names, default="")
    same = next((place for place, (a, b) in enumerate(zip(first, last)) if a != b), len(first))
    return [match.end() for match in re.finditer("[./]", first[:same])]


def _renamed(name, parts):
    match = NUMBERED.fullmatch(name)
    layer = match and parts[match[1]].get(int(match[2]))
    return f"{layer}.{match[3]}" if layer else name


def _numbers(names, part):
    """The layer numbers of one part: {0, 2} for the part "features" of features.0.weight and features.2.weight."""
    matches = filter(None, map(NUMBERED.fullmatch, names))
    return {int(match[2]) for match in matches if match[1] == part}
