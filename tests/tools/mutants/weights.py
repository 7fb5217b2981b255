"""Mistakes in reading weights from files."""

from planting import Mutant

MUTANTS = [
    Mutant(
        "weights in another order fill a layer",
        "weights.loading.fills",
        "return flat or tuple(shape) == tuple(target)",
        "return flat or math.prod(shape) == math.prod(target)",
        "weights/test_npz.py",
    ),
    Mutant(
        "a convolution of one filter loses its leading one",
        "weights.caffemodel._without_leading_ones",
        "if index == 0 and (kind in CONVOLUTIONS or shape[:2] != [1, 1]):",
        "if index == 0 and shape[:2] != [1, 1]:",
        "weights/test_caffemodel.py",
    ),
    Mutant(
        "a tensor may begin anywhere in its storage",
        "weights.torch_objects.Storages.array",
        "if offset + reach > storage.length:",
        "if reach > storage.length:",
        "weights/test_hostile.py",
    ),
    Mutant(
        "one stored number repeated without end",
        "weights.torch_objects.Storages._spend",
        "self.room_repeated -= count",
        "pass",
        "weights/test_hostile.py",
    ),
    Mutant(
        "PyTorch's lazy minus is dropped",
        "weights.torch_objects.rebuild_tensor",
        'negative = metadata.get("neg", False) is not False',
        "negative = False",
        "weights/test_neighbours.py",
    ),
    Mutant(
        "a pickle's string is allocated before it is read",
        "weights.pickles.Machine.take",
        "data = self.stream.read(min(count, CHUNK))",
        "data = self.stream.read(count)",
        "weights/test_hostile.py",
    ),
    Mutant(
        "a pickle's dict may have tuples as keys",
        "weights.pickles.dict_key",
        "if isinstance(key, str) or (isinstance(key, int) and abs(key) < MOST_INTEGER):",
        "if isinstance(key, (str, int, tuple)):",
        "weights/test_hostile.py",
    ),
    Mutant(
        "gaps between the arrays of a .safetensors",
        "weights.safetensors.read_safetensors",
        "if begin != end:",
        "if begin < end:",
        "weights/test_hostile.py",
    ),
    Mutant(
        "a big-endian stream",
        "weights.torch_files._read_stream",
        'system.get("little_endian") is True',
        'system.get("little_endian") is not None',
        "weights/test_hostile.py",
    ),
    Mutant(
        "at-once weights in the plain network",
        "weights.identity.check_at_once",
        "if theirs != scaled:",
        "if scaled and not theirs:",
        "weights/test_preprocessing.py",
    ),
    Mutant(
        "torchvision's pools not counted",
        "weights.names._vgg16",
        "number += 1",
        "",
        "weights/test_names.py",
    ),
    Mutant(
        "torchvision's weights on Caffe's input",
        "weights.preprocessing.transform_for",
        'if expectation.kind == "torchvision":',
        'if expectation.kind == "RGB":',
        "weights/test_names.py",
    ),
    Mutant(
        "folded without the channels' turn",
        "weights.preprocessing.fold",
        "np.ascontiguousarray(folded[:, ::step])",
        "np.ascontiguousarray(folded)",
        "weights/test_preprocessing.py",
    ),
    Mutant(
        "folded with the mean in another order",
        "weights.preprocessing.fold",
        "Preprocess(mean[::step],",
        "Preprocess(mean,",
        "weights/test_preprocessing.py",
    ),
]
