"""Folded code of a figure stands below the figure, so that no button comes between the text and what it speaks of."""

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform


class CodeBelowItsFigure(SphinxPostTransform):
    """Runs after MyST-NB has folded the code."""

    default_priority = 200
    formats = ("html",)

    def run(self, **options):
        for cell in self.document.findall(nodes.container):
            if cell.get("nb_element") == "cell_code" and cell.get("hide_mode") == "input":
                cell.children.reverse()


def setup(app):
    app.add_post_transform(CodeBelowItsFigure)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
