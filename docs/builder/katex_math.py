"""Formulas set while the site is built. Node runs KaTeX; a page needs its style sheet and fonts, and no script."""

import html
import json
import subprocess
from functools import cache

from docutils import nodes
from places import NODE
from sphinx.errors import ExtensionError

PROGRAM = """
const katex = require(process.argv[1]);
const lines = require("node:readline").createInterface({ input: process.stdin });
lines.on("line", line => {
  const { tex, displayMode } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ html: katex.renderToString(tex, { displayMode, strict: false }) }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
});
"""


@cache
def _node():
    """One Node process for all formulas. It ends when this process closes its standard input."""
    command = ["node", "-e", PROGRAM, str(NODE / "katex" / "dist" / "katex.min.js")]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")


@cache
def typeset(tex, display):
    """A formula as HTML. Raises: ExtensionError with KaTeX's message, which ends the build."""
    process = _node()
    process.stdin.write(json.dumps({"tex": tex, "displayMode": display}) + "\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    if "error" in answer:
        raise ExtensionError(f"KaTeX cannot set {tex!r}: {answer['error']}")
    return answer["html"]


def _inline(writer, node):
    writer.body.append(f'<span class="math">{typeset(node.astext(), False)}</span>')
    raise nodes.SkipNode


def _display(writer, node):
    name = f' id="{html.escape(node["ids"][0])}"' if node["ids"] else ""
    number = f'<span class="eqno">({node["number"]})</span>' if node.get("number") else ""
    writer.body.append(f'<div class="math"{name}>{typeset(node.astext(), True)}{number}</div>')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("katex", (_inline, None), (_display, None))
    app.add_css_file("katex/katex.min.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}
