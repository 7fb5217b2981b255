"""Draw the small sample in data/sample: a dozen scenes in the layout of PASCAL VOC.

python -m fcn_from_scratch.datasets.sample [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from fcn_from_scratch.datasets.labels import save_labels
from fcn_from_scratch.datasets.shapes import Shapes
from fcn_from_scratch.datasets.voc import SAMPLE

COUNTS = {"train": 8, "val": 4}
# The VOC ids for background, balloon, square, triangle, ring and cross. They are far apart and otherwise arbitrary.
VOC_IDS = np.array([0, 1, 5, 12, 15, 20], np.uint8)


def write_sample(root):
    """Write the sample under `root`: the pictures as JPEG, the labels as palette PNG, and the lists of the splits.

    The same version of Pillow writes the same bytes each time.
    """
    folders = [Path(root, *parts) for parts in (["JPEGImages"], ["SegmentationClass"], ["ImageSets", "Segmentation"])]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    images, labels, lists = folders
    for split, count in COUNTS.items():
        names = [f"{split}_{i:02d}" for i in range(1, count + 1)]
        for name, scene in zip(names, Shapes(count, size=96, seed=67, split=split)):
            Image.fromarray(scene.image).save(images / f"{name}.jpg", quality=90)
            ids = VOC_IDS[scene.labels.clip(max=5)]
            save_labels(labels / f"{name}.png", np.where(scene.labels == 255, scene.labels, ids))
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_sample(sys.argv[1] if len(sys.argv) > 1 else SAMPLE)
