"""Interactive figures stand after the first paragraph of the section that they belong to."""

import interactive


def with_interactive_figures(text, lesson):
    """A markdown cell with the figures that belong into it."""
    for number, heading, name in interactive.PLACES:
        if number == lesson:
            text = _inserted(text, f"## {heading}", interactive.html(name))
    return text


def _inserted(text, heading, figure):
    """The figure after the first paragraph that follows the heading; the text as it is where there is no such one."""
    lines = text.split("\n")
    if heading not in lines:
        return text
    start = lines.index(heading) + 1
    while start < len(lines) and not lines[start].strip():
        start += 1
    while start < len(lines) and lines[start].strip():
        start += 1
    figure = "\n".join(line for line in figure.splitlines() if line.strip())  # a blank line would end the HTML
    return "\n".join([*lines[:start], "", figure, "", *lines[start:]])
