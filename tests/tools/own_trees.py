"""Labelled pictures as annotation tools and public data sets lay them out, drawn small.

Each function writes a folder and returns what is right: the classes, how many pictures each split has, and pixels. The
scenes are a box and a bar on empty ground, at another place in each picture. Facts about the files are from the tools'
own writers and documents: cvat (datumaro's VOC and COCO formats), labelme's labelme2voc.py, Roboflow's export formats,
cityscapesScripts, sceneparsing, GDAL's GTiff driver.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 36, 44
GROUND, BOX, BAR = 0, 1, 2


class Right(NamedTuple):
    """The right answer. `pixels` are (name of the sample, row, column, id); 255 is ignored."""

    classes: tuple
    train: int
    val: int
    pixels: list


def scene(number):
    """(picture uint8 (H, W, 3), ids (H, W)) of one scene."""
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    top, left = 2 + 3 * number % 11, 3 + 5 * number % 13
    ids[top : top + 10, left : left + 12] = BOX
    ids[28:33, 6 + number : 30 + number] = BAR
    noise = np.random.default_rng(number).integers(-20, 20, (HEIGHT, WIDTH, 3))
    colours = np.array([(80, 140, 70), (210, 70, 60), (60, 90, 210)])
    return (colours[ids] + noise).astype(np.uint8), ids


def points(number):
    """(row, column) of a pixel of the ground, of the box and of the bar, none of them near an edge."""
    return {GROUND: (0, WIDTH - 1), BOX: (7 + 3 * number % 11, 9 + 5 * number % 13), BAR: (30, 18 + number)}


def right(names, train, val, sample, number, ids):
    """`ids`: the ids of ground, box and bar."""
    return Right(tuple(names), train, val, [(sample, *where, ids[kind]) for kind, where in points(number).items()])


def save(path, array, **words):
    path.parent.mkdir(parents=True, exist_ok=True)
    (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(path, **words)


def cvat(root):
    """JPEGImages, SegmentationClass in colours, labelmap.txt, one list of everything; a frame nobody annotated."""
    colours = np.array([(0, 0, 0), (250, 50, 183), (36, 179, 83)], np.uint8)
    for number in range(12):
        picture, ids = scene(number)
        save(root / "JPEGImages" / f"f {number:03}.jpg", picture, quality=95)
        if number != 7:
            save(root / "SegmentationClass" / f"f {number:03}.png", colours[ids])
            save(root / "SegmentationObject" / f"f {number:03}.png", colours[ids][..., ::-1].copy())
    text = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nbar:36,179,83::\nbox:250,50,183::\n"
    (root / "labelmap.txt").write_text(text)
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    names = "".join(f"f {number:03}\n" for number in range(12))
    (root / "ImageSets" / "Segmentation" / "default.txt").write_text(names)
    return right(("background", "bar", "box"), 9, 2, "f 003", 3, (0, 2, 1))


def corners(ids, kind):
    """The outline of a rectangle of one kind: x, y of its first and behind its last pixel."""
    rows, columns = np.nonzero(ids == kind)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def labelme(root):
    """x.jpg and x.json side by side; a rectangle, a polygon, and a corner that is ignored."""
    for number in range(10):
        picture, ids = scene(number)
        save(root / f"IMG_{number}.jpg", picture, quality=95)
        (left, top, right_, bottom), bar = corners(ids, BOX), corners(ids, BAR)
        outline = [(bar[0], bar[1]), (bar[2] - 1, bar[1]), (bar[2] - 1, bar[3] - 1), (bar[0], bar[3] - 1)]
        shapes = [
            ("box", "rectangle", [(left, top), (right_ - 1, bottom - 1)]),
            ("bar", "polygon", outline),
            ("__ignore__", "polygon", [(0, 20), (3, 20), (3, 26), (0, 26)]),
        ]
        content = {
            "version": "5.4.1",
            "shapes": [
                {"label": label, "shape_type": kind, "points": [[float(x), float(y)] for x, y in each]}
                for label, kind, each in shapes
            ],
            "imagePath": f"IMG_{number}.jpg",
            "imageData": None,
            "imageHeight": HEIGHT,
            "imageWidth": WIDTH,
        }
        (root / f"IMG_{number}.json").write_text(json.dumps(content))
    (root / "labels.txt").write_text("__ignore__\n_background_\nbox\nbar\n")
    found = right(("_background_", "box", "bar"), 8, 2, "IMG_3", 3, (0, 1, 2))
    return found._replace(pixels=[*found.pixels, ("IMG_3", 23, 1, 255)])


def roboflow(root):
    """train/, valid/ and test/, each with pictures, masks beside them and _classes.csv."""
    number = 0
    for split, count in (("train", 6), ("valid", 2), ("test", 1)):
        for _ in range(count):
            picture, ids = scene(number)
            save(root / split / f"p{number}_jpg.rf.{number:032x}.jpg", picture)
            save(root / split / f"p{number}_jpg.rf.{number:032x}_mask.png", ids)
            number += 1
        (root / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, box\n2, bar\n")
    (root / "README.dataset.txt").write_text("# shapes\n")
    return right(("background", "box", "bar"), 6, 2, f"p3_jpg.rf.{3:032x}", 3, (0, 1, 2))


def coco(root):
    """train/ and valid/ with _annotations.coco.json: polygons and run lengths, numbers with gaps, a super-category."""
    number = 0
    for split, count in (("train", 6), ("valid", 2)):
        images, annotations = [], []
        for _ in range(count):
            picture, ids = scene(number)
            save(root / split / f"{number}.jpg", picture)
            images.append({"id": 100 + number, "file_name": f"{number}.jpg", "height": HEIGHT, "width": WIDTH})
            left, top, right_, bottom = map(int, corners(ids, BOX))
            polygon = [[left, top, right_, top, right_, bottom, left, bottom]]
            down = (ids == BAR).ravel(order="F").astype(int)
            ends = np.flatnonzero(np.diff(down)) + 1
            counts = np.diff([0, *ends, down.size]).tolist()
            for category, form, crowd in ((9, {"counts": counts, "size": [HEIGHT, WIDTH]}, 1), (4, polygon, 0)):
                each = {"id": len(annotations), "image_id": 100 + number, "category_id": category, "iscrowd": crowd}
                annotations.append({**each, "segmentation": form, "bbox": [0, 0, 1, 1], "area": 1})
            number += 1
        kinds = [{"id": 0, "name": "things", "supercategory": "none"}]
        kinds += [{"id": id, "name": name, "supercategory": "things"} for id, name in ((4, "box"), (9, "bar"))]
        content = {"images": images, "annotations": annotations, "categories": kinds}
        (root / split / "_annotations.coco.json").write_text(json.dumps(content))
    return right(("background", "box", "bar"), 6, 2, "3", 3, (0, 1, 2))


CITYSCAPES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)


def cityscapes(root):
    """leftImg8bit and gtFine, split/city; labelIds 7 road, 13 fence, 26 car, 3 out of the region of interest."""
    number = 0
    for split, city, count in (("train", "ulm", 4), ("train", "bonn", 2), ("val", "lindau", 2)):
        for _ in range(count):
            picture, ids = scene(number)
            labels = np.array([7, 26, 13], np.uint8)[ids]
            labels[-1] = 3
            stem = f"{city}_{number:06}_000019"
            save(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", picture)
            gt = root / "gtFine" / split / city
            save(gt / f"{stem}_gtFine_labelIds.png", labels)
            save(gt / f"{stem}_gtFine_instanceIds.png", labels.astype(np.uint16) * 1000)
            save(gt / f"{stem}_gtFine_color.png", np.dstack([labels] * 4))
            (gt / f"{stem}_gtFine_polygons.json").write_text("{}")
            number += 1
    found = right(CITYSCAPES, 6, 2, "ulm/ulm_000003_000019", 3, (0, 13, 4))
    return found._replace(pixels=[*found.pixels, ("ulm/ulm_000003_000019", HEIGHT - 1, 5, 255)])


def ade20k(root):
    """images and annotations, training and validation; 1..150 and 0 for other objects; objectInfo150.txt with tabs."""
    names = ["wall", "building, edifice", "sky", *(f"object {n}" for n in range(4, 151))]
    number = 0
    for split, short, count in (("training", "train", 6), ("validation", "val", 2)):
        for _ in range(count):
            picture, ids = scene(number)
            labels = np.array([3, 2, 150], np.uint8)[ids]
            labels[-2:] = 0
            save(root / "images" / split / f"ADE_{short}_{number:08}.jpg", picture, quality=95)
            save(root / "annotations" / split / f"ADE_{short}_{number:08}.png", labels)
            number += 1
    rows = ["Idx\tRatio\tTrain\tVal\tStuff\tName", *(f"{n}\t0.1\t9\t1\t1\t{name}" for n, name in enumerate(names, 1))]
    (root / "objectInfo150.txt").write_text("\n".join(rows))
    (root / "sceneCategories.txt").write_text("ADE_train_00000000 street\n")
    found = right(names, 6, 2, "ADE_train_00000003", 3, (2, 1, 149))
    return found._replace(pixels=[*found.pixels, ("ADE_train_00000003", HEIGHT - 1, 5, 255)])


def medical(root, top=65535):
    """Grey slices of 16 bits and masks of 16 bits."""
    for number in range(10):
        picture, ids = scene(number)
        grey = (picture[:, :, 2] / 255 * top).astype(np.uint16)
        save(root / "images" / f"case{number}.png", grey)
        save(root / "masks" / f"case{number}.png", ids.astype(np.uint16))
    return right(("background", "liver", "tumour"), 8, 2, "case3", 3, (0, 1, 2))


def satellite(root):
    """Tiles of red, green, blue and infrared, the last marked as alpha; a colour table; 0 is no data."""
    for number in range(10):
        picture, ids = scene(number)
        infrared = np.where(ids == GROUND, 200, 20).astype(np.uint8)
        labels = ids + 1
        labels[:, 0] = 0
        table = Image.fromarray(labels)
        table.putpalette([0, 0, 0, 10, 160, 40, 220, 40, 40, 40, 60, 220])
        save(root / "images" / f"tile_{number}.tif", np.dstack([picture, infrared]))
        save(root / "labels" / f"tile_{number}.tif", table)
    found = right(("ground", "building", "water"), 8, 2, "tile_3", 3, (0, 1, 2))
    return found._replace(pixels=[*found.pixels, ("tile_3", 12, 0, 255)])


# The names are those of docs/own_data.md.
TOOLS = {
    "CVAT, segmentation mask 1.1": cvat,
    "labelme, JSON beside the pictures": labelme,
    "Roboflow, semantic segmentation masks": roboflow,
    "COCO JSON, of any tool": coco,
    "Cityscapes": cityscapes,
    "ADE20K, SceneParsing": ade20k,
    "slices of 16 bits, such as medical ones": medical,
    "satellite tiles of four bands": satellite,
}


def write(tool, root):
    """Write the folder of a tool. Returns: Right."""
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    return TOOLS[tool](root)
