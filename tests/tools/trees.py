"""Datasets of a few tiny pictures, each in its true layout, for the readers and the command line to read."""

import matfile
import numpy as np
from PIL import Image

SIZE = (40, 48)
SCENES = "spatial_envelope_256x256_static_8outdoorcategories"
# numbers of PASCAL-Context's list of 459 as it is published, those that make the 59 classes
# fmt: off
CONTEXT_NAMES = dict(
    aeroplane=2, bicycle=23, bird=25, boat=31, bottle=34, bus=45, car=59, cat=65, chair=72, cow=98, table=397,
    dog=113, horse=207, motorbike=258, person=284, pottedplant=308, sheep=347, sofa=368, train=416,
    tvmonitor=427, bag=9, bed=18, bench=22, book=33, building=44, cabinet=46, ceiling=68, cloth=80, computer=85,
    cup=104, door=115, fence=144, floor=158, flower=159, food=162, grass=187, ground=189, keyboard=220,
    light=232, mountain=259, mouse=260, curtain=105, platform=296, sign=355, plate=295, road=324, rock=326,
    shelves=349, sidewalk=354, sky=360, snow=366, bedclothes=19, track=415, tree=420, truck=424, wall=440,
    water=445, window=454, wood=458,
)
# fmt: on


def lines(path, *names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def picture(path, rng, size=SIZE):
    """Write and return a random RGB picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(256, size=(*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def mat(path, *matrices):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(matfile.file(*matrices, compress=True))


def voc(root, rng, year="VOC2012", **splits):
    """root/VOCdevkit/YEAR with these lists. Returns: that folder."""
    folder = root / "VOCdevkit" / year
    for split, names in splits.items():
        lines(folder / "ImageSets" / "Segmentation" / f"{split}.txt", *names)
        for name in names:
            picture(folder / "JPEGImages" / f"{name}.jpg", rng)
            ids = Image.fromarray(rng.choice(np.array([0, 15, 20, 255], np.uint8), SIZE))
            (folder / "SegmentationClass").mkdir(exist_ok=True)
            ids.save(folder / "SegmentationClass" / f"{name}.png")
    return folder


def sbd(root, rng, **splits):
    """root/benchmark_RELEASE/dataset. Returns: that folder, and the labels by name."""
    folder, labels = root / "benchmark_RELEASE" / "dataset", {}
    for split, names in splits.items():
        lines(folder / f"{split}.txt", *names)
        for name in names:
            picture(folder / "img" / f"{name}.jpg", rng)
            labels[name] = rng.integers(21, size=SIZE).astype(np.uint8)
            fields = {"Boundaries": matfile.cells(), "Segmentation": matfile.array(labels[name])}
            fields["CategoriesPresent"] = matfile.array(np.array([[1.0, 2.0]]))
            mat(folder / "cls" / f"{name}.mat", matfile.structure(fields, "GTcls"))
    return folder, labels


def nyud(root, rng, **splits):
    """root/nyud. Returns: that folder, and by name a dict of what was written there."""
    folder, written = root / "nyud", {}
    for split, names in splits.items():
        lines(folder / f"{split}.txt", *names)
        for name in names:
            files = {kind: folder / "data" / kind / f"img_{name}.png" for kind in ("images", "depth", "hha")}
            depth = rng.integers(800, 9000, size=SIZE).astype(np.uint16)
            numbers = rng.integers(41, size=SIZE).astype(np.uint8)
            written[name] = {kind: picture(files[kind], rng) for kind in ("images", "hha")}
            written[name] |= {"depth": depth, "numbers": numbers}
            files["depth"].parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(depth).save(files["depth"])
            mat(folder / "segmentation" / f"img_{name}.mat", matfile.array(numbers, "segmentation"))
    return folder, written


def siftflow(root, rng, test, others, unlabelled=()):
    """root/siftflow. Returns: that folder, and by name the numbers written, semantic and geometric."""
    folder, written = root / "siftflow", {}
    lines(folder / "test.txt", *test)
    for name in (*test, *others, *unlabelled):
        picture(folder / "Images" / SCENES / f"{name}.jpg", rng)
        if name in unlabelled:
            continue
        semantic = rng.integers(34, size=SIZE).astype(np.float64)
        geometric = rng.choice(np.array([-1, 1, 2, 3], np.int16), SIZE)
        mat(folder / "SemanticLabels" / SCENES / f"{name}.mat", matfile.array(semantic, "S"))
        mat(folder / "GeoLabels" / SCENES / f"{name}.mat", matfile.array(geometric, "S"))
        written[name] = semantic, geometric
    return folder, written


def pascalcontext(root, rng, **splits):
    """root/VOCdevkit/VOC2010 and root/pascal-context. Returns: the latter, and the numbers by name."""
    kit, folder, written = root / "VOCdevkit" / "VOC2010", root / "pascal-context", {}
    numbers = {number: name for name, number in CONTEXT_NAMES.items()}
    # the names between are left out, except some that resemble others
    numbers |= {81: "clothes tree", 398: "tableware", 459: "wool"}
    lines(folder / "labels.txt", *(f"{number}: {name}" for number, name in sorted(numbers.items())))
    for split, names in splits.items():
        lines(kit / "ImageSets" / "Main" / f"{split}.txt", *names)
        for name in names:
            picture(kit / "JPEGImages" / f"{name}.jpg", rng)
            written[name] = rng.integers(460, size=SIZE).astype(np.uint16)
            mat(folder / "trainval" / f"{name}.mat", matfile.array(written[name], "LabelMap"))
    return folder, written
