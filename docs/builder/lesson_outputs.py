"""What the cells of a lesson printed and drew, as parts of its page."""

import re

from docutils import nodes
from myst_nb.core.render import NbElementRenderer

CHECKS = re.compile(r"((?:^  ok  .*\n)+)", re.MULTILINE)


def checks_as_lists(render):
    """Lines "  ok  claim" become a list with ticks. Other lines stay as they were printed."""

    def render_stdout(self, output, *arguments):
        found = []
        for part in CHECKS.split(output["text"]):
            if part.startswith("  ok  "):
                found.append(_checks(part))
            elif part.strip():
                found += render(self, {**output, "text": part.rstrip("\n") + "\n"}, *arguments)
        return found

    return render_stdout


def _checks(text):
    items = [nodes.list_item("", nodes.paragraph(text=line.removeprefix("  ok  "))) for line in text.splitlines()]
    return nodes.bullet_list("", *items, classes=["claims"])


def images_with_alt(render):
    """MyST-NB drops the alternative text of a picture; it stands in the output's metadata."""

    def render_image(self, data):
        found = render(self, data)
        for image in found:
            told = data.output_metadata.get(data.mime_type, {})
            image["alt"] = told.get("alt", "")
            image["classes"].append(f"figure-{told.get('name', '')}")  # the slides find their figures by it
        return found

    return render_image


def setup(app):
    NbElementRenderer.render_stdout = checks_as_lists(NbElementRenderer.render_stdout)
    NbElementRenderer.render_image = images_with_alt(NbElementRenderer.render_image)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
