"""Mistakes in reading one's own pictures: labels of annotation tools, classes, label maps, bands."""

from planting import Mutant

MUTANTS = [
    Mutant(
        "255 is ignored before the label map",
        "datasets.own.decode.Decoder._ids_of",
        "ids[(ids == UNKNOWN) & np.isin(found, (IGNORE, -1))] = IGNORE",
        "ids[np.isin(found, (IGNORE, -1))] = IGNORE",
        "datasets/own/test_decode.py",
    ),
    Mutant(
        "the rest swallows the values of the class file",
        "datasets.own.decode.Decoder._ids_of",
        "ids[ids == UNKNOWN] = self.mapping.rest",
        "ids[(ids == UNKNOWN) | ~self.mapping(found).astype(bool)] = self.mapping.rest",
        "datasets/own/test_decode.py",
    ),
    Mutant(
        "values beside a label map are taken for ids",
        "datasets.own.decode.Decoder._ids_of",
        "if self.mapping is None and values is None:",
        "if values is None:",
        "datasets/own/test_decode.py",
    ),
    Mutant(
        "a class in front does not move the others",
        "datasets.own.decode.Decoder._ids_of",
        "ids[(ids == UNKNOWN) & (found == value)] = place + self.shift",
        "ids[(ids == UNKNOWN) & (found == value)] = place",
        "datasets/own/test_decode.py",
    ),
    Mutant(
        "ids with a gap let through",
        "datasets.own.settle._count",
        "ids == list(range(len(ids)))",
        "ids",
        "datasets/own/test_decode.py",
    ),
    Mutant(
        "a range without its last value",
        "datasets.own.label_map.Resolved.__call__",
        "(values <= high)",
        "(values < high)",
        "datasets/own/test_label_map.py",
    ),
    Mutant(
        "JPEG labels through single values",
        "datasets.own.label_map.LabelMap.only_ranges",
        "bool(self.entries) and all(entry.low < entry.high for entry in self.entries)",
        "bool(self.entries)",
        "datasets/own/test_decode.py",
    ),
    Mutant(
        "COCO's columns read as rows",
        "datasets.own.run_lengths.mask",
        "np.repeat(runs, np.array(counts, np.int64)).reshape(width, height).T",
        "np.repeat(runs, np.array(counts, np.int64)).reshape(height, width)",
        "datasets/own/test_run_lengths.py",
    ),
    Mutant(
        "compressed run lengths differ from the third on",
        "datasets.own.run_lengths.decompress",
        "len(counts) > 2",
        "len(counts) > 1",
        "datasets/own/test_run_lengths.py",
    ),
    Mutant(
        "crowds lie above the other objects",
        "datasets.own.coco.Coco._read",
        'not each.get("iscrowd")',
        'bool(each.get("iscrowd"))',
        "datasets/own/test_coco.py",
    ),
    Mutant(
        "masks painted in the order of the lines",
        "datasets.own.mask_list.paint",
        "sorted((_place(name, names, path), number) for number, (path, name) in enumerate(masks))",
        "[(_place(name, names, path), number) for number, (path, name) in enumerate(masks)]",
        "datasets/own/test_mask_list.py",
    ),
    Mutant(
        "pickles in .npy files are read",
        "datasets.own.npy._read",
        'if dtype.kind not in "fiub":',
        'if dtype.kind not in "fiubO":',
        "datasets/own/test_label_pictures.py",
    ),
    Mutant(
        "a soft band is a mask",
        "datasets.own.bands._refuse_extra",
        "np.isin(values[:, :, colours], (0, 255)).all()",
        "np.isin(values[:, :, colours], (0, 255)).any()",
        "datasets/own/test_bands.py",
    ),
    Mutant(
        "4-bit ids stretched",
        "datasets.images._restoring",
        "most = 2 ** int(match[1] or 8) - 1",
        "most = 255",
        "datasets/own/test_label_pictures.py",
    ),
]
