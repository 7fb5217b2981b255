"""Can a network learn from these labels?"""

from fcn_from_scratch.lab.doctor.registry import check, fine, serious, warning

# words in a complaint about labels -> what to do
_REMEDIES = {
    "out of range": "map the ids to 0, 1, 2, ... and 255 for ignore, or pass the right --num-classes",
    "without a gap": "say which class each value is, by --label-map",
    "labels as colours": "say which class each colour is, by --classes FILE; a palette PNG converted to RGB is no loss",
    "not class ids": "save labels as palette or grey PNG of class ids; a palette PNG converted to RGB has lost them",
    "JPEG": "save labels as PNG",
    "pixels but": "a picture and its labels must have equal sizes; resize labels by nearest neighbour only",
    "if these are masks": "save the foreground as 1; 255 means ignore",
    "every pixel is ignored": "leave the picture out, or label it",
    "never seen": "use more pictures or fewer classes: a class that never occurs cannot be learned",
}
SHOWN = 5  # complaints of one kind that are shown


@check(
    "Do the labels hold the right class ids? Usual mistakes: ids out of range, masks of 0 and 255, palettes read as "
    "RGB, pictures with every pixel ignored.",
    "look at a label file: the value of each pixel must be a class id",
    needs=("survey",),
)
def label_audit(case):
    yield from _complaints(case.survey.unreadable, serious)
    swallowed = [text for text in case.survey.findings if "if these are masks" in text]
    yield from _complaints(swallowed, serious)
    yield from _complaints([text for text in case.survey.findings if text not in swallowed], warning)
    if not case.survey.unreadable and not case.survey.findings:
        yield fine(f"{case.survey_size} of {len(case.dataset)} label maps read, every class seen")


@check(
    "Does one class fill almost everything?",
    "give rare classes more weight: fcn train --balance 0.3",
    needs=("survey",),
)
def class_balance(case):
    counts = case.survey.counts[0][: case.dataset.num_classes]
    share = counts.max() / max(counts.sum(), 1)
    if share > 0.98:
        name = case.dataset.classes[counts.argmax()]
        yield warning(
            f"{name} fills {share:.1%} of the pixels: a network that predicts nothing else is {share:.1%} right"
        )


def remedy(complaint):
    """What to do about a complaint; "" if no remedy is known."""
    return next((remedy for words, remedy in _REMEDIES.items() if words in complaint), "")


def _complaints(texts, level):
    for text in texts[:SHOWN]:
        yield level(text, remedy(text))
    if len(texts) > SHOWN:
        yield level(f"and {len(texts) - SHOWN} more like these")
