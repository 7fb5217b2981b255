"""What `fcn data folder` prints: the options for one's own pictures, and a command for each of the usual tools."""

# tool or data set -> what to type behind `fcn train`. docs/own_data.md has the same commands (a test compares them).
COMMANDS = {
    "CVAT, segmentation mask 1.1": (
        "--dataset folder --root DIR --images 'JPEGImages/{}.*' --labels 'SegmentationClass/{}.png'"
    ),
    "labelme, JSON beside the pictures": (
        "--dataset folder --root DIR --images '{}.*' --labels '{}.json' --classes labels.txt"
    ),
    "Roboflow, semantic segmentation masks": (
        "--dataset folder --root DIR --images '{split}/{}.jpg' --labels '{split}/{}_mask.png'"
    ),
    "COCO JSON, of any tool": (
        "--dataset folder --root DIR --images '{split}/{}.*' --labels '{split}/_annotations.coco.json'"
    ),
    "Cityscapes": (
        "--dataset folder --root DIR --images 'leftImg8bit/{split}/{city}/{}_leftImg8bit.png' "
        "--labels 'gtFine/{split}/{city}/{}_gtFine_labelIds.png' --classes cityscapes"
    ),
    "ADE20K, SceneParsing": (
        "--dataset folder --root DIR --images 'images/{split}/{}.jpg' --labels 'annotations/{split}/{}.png' "
        "--classes objectInfo150.txt --label-map 0:ignore"
    ),
    "slices of 16 bits, such as medical ones": (
        "--dataset folder --root DIR --images 'images/{}.png' --labels 'masks/{}.png' --classes background,liver,tumour"
    ),
    "satellite tiles of four bands": (
        "--dataset folder --root DIR --images 'images/{}.tif' --labels 'labels/{}.tif' --bands 0,1,2 "
        "--classes ground,building,water --label-map 0:ignore,1:ground,2:building,3:water"
    ),
}
WIDTH = 110
TEXT = """folder: your own pictures, as any annotation tool wrote them (docs/own_data.md)

  --images PATTERN   which files are pictures, below DIR: 'images/{}.jpg'. {} or {word} stands for what tells the
                     pictures apart, {split} for train, val and test, * for anything, a final .* for any extension
  --labels PATTERN   which files are their labels, with the same words: 'masks/{}_mask.png'
  --classes FILE     the classes: a file, names with commas between them, or voc, camvid, cityscapes, ade20k
  --label-map V:C    which class each stored value is: 0:0,255:1 or 0:ignore,7:road,rest:ignore
  --bands B,B,B      which bands of the pictures are red, green and blue: 0,1,2
  --range LOW:HIGH   which values of the pictures are black and white: 0:4095

Without --images and --labels it takes images/* and labels/* with the same stems, or another layout that it knows.
"""


def text():
    """All of it."""
    commands = [f"{tool}\n{_wrapped(f'fcn train {command}')}" for tool, command in COMMANDS.items()]
    check = "Then check it:  fcn data folder --root DIR, with the same options"
    return "\n".join([TEXT, *commands, "", check])


def _wrapped(command):
    """A command on lines that a shell takes as one."""
    lines = ["  fcn train"]
    for word in command.split(" ")[2:]:
        if len(lines[-1]) + len(word) > WIDTH:
            lines.append("     ")
        lines[-1] += f" {word}"
    return " \\\n".join(lines)
