"""The interactive figures of the lessons: their frames on a page, and where they stand.

html(name)   the <figure> with its introduction, its question and a still picture, which JavaScript replaces
PLACES       (lesson number, heading, name): a figure stands behind the text of the section with that heading

    python docs/builder/interactive.py FOLDER      writes a page with all of the figures, to look at while they are made
"""

import functools
import json
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import NamedTuple

import interactive_data

STATIC = Path(__file__).resolve().parents[1] / "static"
SCRIPTS = STATIC / "play"


class Frame(NamedTuple):
    """The words around a figure."""

    title: str
    introduction: str
    question: str


FRAMES = {
    "receptive-field": Frame(
        "Receptive field and crops, for any network",
        "Choose one of the paper's networks, or put together your own layers. The figure shows how large every map is, "
        "which pixels one output sees, and how each crop offset arises.",
        "Which of the five crops, 19, 27, 31, 5 and 9, change when you change the padding? Which change with the size "
        "of the picture?",
    ),
    "shift-and-stitch": Frame(
        "Shift-and-stitch, pass by pass",
        "The network is a max-pool whose window and stride are f. Step through the passes: each one sees another part "
        "of the picture, and its outputs land in other places of the fine map.",
        "With f = 3, in which pass (0, 1 or 2) does place 4 of the fine map get its answer when pixels are dropped? In "
        "which pass does it get it in the paper's form?",
    ),
    "impulse": Frame(
        "One value through each upsampling",
        "One coarse value is 1, and all others are 0. The bars below show what the upsampling makes of it. The line "
        "shows the sum over all coarse values, that is, what a row of ones becomes.",
        "Change one number of a bilinear kernel. Where does the sum leave 1? Can you change a second number so that "
        "the sum is 1 again?",
    ),
    "confusion": Frame(
        "Paint a segmentation, and read its four metrics",
        "Paint on the truth or on the prediction. With the keyboard, move through a map with the arrow keys and paint "
        "with the space bar. The matrix counts the pixels; void pixels of the truth are not counted.",
        "Predict background everywhere. Which of the four metrics falls the least, and which the most?",
    ),
    "skips": Frame(
        "The score layers of FCN-8s, switched on and off",
        "These are predictions of the networks of this lesson for scenes that they were not trained on. Switch the "
        "three score layers of FCN-8s off and on, or compare FCN-32s, 16s and 8s.",
        "Switch off one score layer after the other. Which one does the network that was trained all at once depend "
        "on? And the one that was trained in stages?",
    ),
}

PLACES = (
    (1, "Which metric sees what?", "confusion"),
    (6, "The crops", "receptive-field"),
    (7, "Right and down: the paper's form", "shift-and-stitch"),
    (9, "A fourth and a fifth way", "impulse"),
    (12, "What is each score layer worth?", "skips"),
)


def html(name, static="../_static/"):
    """The figure as HTML. `static` is the address of the folder with `play/`, as seen from the page."""
    title, introduction, question = map(escape, FRAMES[name])
    return "\n".join(
        [
            f'<link rel="stylesheet" href="{static}play/play.css">',
            f'<figure class="play" id="play-{name}" aria-labelledby="play-{name}-title">',
            f'<p class="play-title" id="play-{name}-title">{title}</p>',
            f"<p>{introduction}</p>",
            f'<div class="play-stage"><div class="play-still">{still(name)}</div></div>',
            f"<figcaption><strong>Try:</strong> {question}</figcaption>",
            "</figure>",
            f'<script type="module" src="{static}play/{name}.js"></script>',
        ]
    )


@functools.cache
def still(name):
    """The picture of the default setting, drawn by the figure's own script, which Node runs."""
    numbers = json.dumps(interactive_data.data(name))
    command = ["node", str(SCRIPTS / "still.js"), name]
    try:
        done = subprocess.run(command, input=numbers, capture_output=True, encoding="utf-8", check=True)
    except FileNotFoundError:
        raise RuntimeError("the still pictures are drawn by Node, and there is no command `node`") from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"Node could not draw the still picture of {name}:\n{error.stderr}") from None
    return done.stdout


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Interactive figures</title><link rel="icon" href="data:,"><style>
:root {{ color-scheme: light dark; --color-foreground-primary: #000; --color-foreground-secondary: #5a5c63;
  --color-foreground-muted: #6b6f76; --color-foreground-border: #878787; --color-background-primary: #fff;
  --color-background-secondary: #f8f9fb; --color-background-border: #eeebee; --color-brand-primary: #0a4bff; }}
@media (prefers-color-scheme: dark) {{ :root {{ --color-foreground-primary: #cfd0d0;
  --color-foreground-secondary: #9ca0a5; --color-foreground-muted: #81868d;
  --color-foreground-border: #666; --color-background-primary: #131416;
  --color-background-secondary: #1a1c1e; --color-background-border: #303335; --color-brand-primary: #3d94ff; }} }}
body {{ max-width: 46em; margin: 1rem auto; padding: 0 1rem; font: 1.06rem/1.6 Georgia, serif;
  color: var(--color-foreground-primary); background: var(--color-background-primary); }}
</style></head><body><main><h1>Interactive figures</h1>
{figures}
</main></body></html>
"""


def write_page(folder):
    """Write a page with all of the figures, their scripts and their numbers. Tests use it, too."""
    folder, play = Path(folder), Path(folder) / "_static" / "play"
    interactive_data.write(play)
    for path in SCRIPTS.iterdir():
        (play / path.name).write_bytes(path.read_bytes())
    figures = "\n".join(html(name, "_static/") for name in FRAMES)
    (folder / "index.html").write_text(PAGE.format(figures=figures), encoding="utf-8")


if __name__ == "__main__":
    write_page(*sys.argv[1:])
