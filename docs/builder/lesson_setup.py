"""Runs in the kernel of each lesson before its first cell, unseen: figures and claims as the page wants them.

Everything is inside one function, because the lesson's own names share the namespace.
"""


def _prepare():
    import contextlib
    import html
    import io

    from IPython import display, get_ipython

    from fcn_from_scratch import course, viz

    check_all = course.claims

    def show_figure(png, alt, name):
        display.display(display.Image(data=png, alt=alt, metadata={"name": name}))

    def list_claims(rows):
        """Check as the lesson does; then list each claim with the reason for its tolerance."""
        with contextlib.redirect_stdout(io.StringIO()):  # "all 14 claims hold" would be a second count on the page
            check_all(rows)
        items = (f"<li>{html.escape(claim)} <small>{html.escape(reason)}</small></li>" for claim, _, reason in rows)
        head = f"<p>In short: {len(rows)} of the claims above, each with the reason for its tolerance.</p>"
        page = f'{head}<ul class="claims-box">{"".join(items)}</ul>'
        display.display({"text/html": page, "text/plain": ""}, raw=True)

    get_ipython().ast_node_interactivity = "none"  # a script shows no bare expression either
    viz.set_display(show_figure)
    course.claims = list_claims


_prepare()
