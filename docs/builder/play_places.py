"""Interactive figures stand behind the text of the section that they belong to, before its first code."""

import interactive


def with_interactive_figures(text, lesson):
    """A markdown cell with the figures that belong into it."""
    for number, heading, name in interactive.PLACES:
        if number == lesson:
            text = _inserted(text, f"## {heading}", interactive.html(name))
    return text


def _inserted(text, heading, figure):
    """The figure at the end of the heading's section in this cell; the text as it is where there is no such heading."""
    lines = text.split("\n")
    if heading not in lines:
        return text
    end = lines.index(heading) + 1
    while end < len(lines) and not lines[end].startswith("## "):
        end += 1
    figure = "\n".join(line for line in figure.splitlines() if line.strip())  # a blank line would end the HTML
    return "\n".join([*lines[:end], "", figure, "", *lines[end:]])
