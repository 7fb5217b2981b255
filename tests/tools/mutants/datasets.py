"""Mistakes in reading and augmenting data."""

from planting import Mutant

MUTANTS = [
    Mutant(
        "-1 is not ignored",
        "datasets.labels._in_range",
        "np.isin(ids, (-1, *ignore))",
        "np.isin(ids, (*ignore,))",
        "datasets/test_labels.py",
    ),
    Mutant(
        "a named ignore id is not mapped to 255",
        "datasets.labels._in_range",
        "np.isin(ids, (-1, *ignore))",
        "np.isin(ids, (-1,))",
        "datasets",
    ),
    Mutant(
        "unknown ids let through",
        "datasets.labels._in_range",
        "checks.file_label_range(ids, num_classes, IGNORE, path)",
        "checks.file_label_range(ids, 255, IGNORE, path)",
        "datasets/test_labels.py",
    ),
    Mutant(
        "padded labels teach class 0",
        "datasets.batches.collate",
        "y = np.full((len(images), *heads, height, width), IGNORE, np.int64)",
        "y = np.full((len(images), *heads, height, width), 0, np.int64)",
        "datasets/test_batches.py",
    ),
    Mutant(
        "pictures stay RGB",
        "datasets.transforms.Preprocess._channels",
        "colours = [2, 1, 0] if",
        "colours = [0, 1, 2] if",
        "datasets/test_transforms.py",
    ),
    Mutant(
        "labels not mirrored with their picture",
        "datasets.augment.RandomFlip.__call__",
        "return image[:, ::-1], labels[..., ::-1]",
        "return image[:, ::-1], labels",
        "datasets/test_augment.py",
    ),
    Mutant(
        "labels interpolated",
        "datasets.augment.RandomScale.__call__",
        "Image.Resampling.NEAREST",
        "Image.Resampling.BILINEAR",
        "datasets/test_augment.py",
    ),
    Mutant(
        "HHA turned round as colours are",
        "datasets.transforms.Preprocess._channels",
        "[*colours, 3, 4, 5]",
        "[*colours, 5, 4, 3]",
        "datasets/test_transforms.py",
    ),
    Mutant(
        "depth without its logarithm",
        "datasets.images.read_depth",
        "np.log(depth.astype(np.float32))",
        "depth.astype(np.float32)",
        "datasets/test_nyud.py",
    ),
    Mutant(
        "numbers that count from 1 taken for ids",
        "datasets.labels.read_mat_labels",
        "ids = mat_ids(path, variable, field) - first",
        "ids = mat_ids(path, variable, field)",
        "datasets/test_siftflow.py",
    ),
    Mutant(
        "MATLAB's columns read as rows",
        "datasets.mat._numbers",
        'order="F"',
        'order="C"',
        "datasets/test_mat.py",
    ),
    Mutant(
        "a packed file unpacks as far as it will",
        "datasets.mat._matrices",
        "unpacker.decompress(body, room + 1)",
        "unpacker.decompress(body)",
        "datasets/test_mat.py",
    ),
    Mutant(
        "each element of a file has all the room",
        "datasets.mat._matrices",
        "room -= len(unpacked)",
        "room = LARGEST - len(unpacked)",
        "datasets/test_mat.py",
    ),
    Mutant(
        "seg11valid less SBD's val",
        "datasets.pascal.seg11valid",
        '/ "train.txt"))',
        '/ "val.txt"))',
        "datasets/test_voc.py",
    ),
]
