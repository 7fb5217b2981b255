"""Runs in the kernel of each lesson before its first cell, unseen: figures and claims as the page wants them."""

import html

from IPython import get_ipython
from IPython.display import Image, display

from fcn_from_scratch import course, viz

get_ipython().ast_node_interactivity = "none"  # a script shows no bare expression either


def _show_figure(png, alt, name):
    display(Image(data=png, alt=alt, metadata={"name": name}))


def _claims(rows, check=course.claims):
    """Check as the lesson does; then list each claim with the reason for its tolerance."""
    check(rows)
    items = (f"<li>{html.escape(claim)} <small>{html.escape(reason)}</small></li>" for claim, _, reason in rows)
    display({"text/html": f'<ul class="claims-box">{"".join(items)}</ul>', "text/plain": ""}, raw=True)


viz.set_display(_show_figure)
course.claims = _claims
