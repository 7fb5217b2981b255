"""The house's docstrings as reStructuredText.

A docstring says: one sentence of meaning; an index equation; lines "Shapes: ...", "Returns: ..." and so on; lines
"name   meaning" for arguments; prose. Equations are shown as they are written, in the letters of code. The fields
become a list, the arguments a list of definitions.
"""

import re

FIELDS = ("Shapes", "Returns", "Identity", "Raises", "Source", "Example", "Lesson", "Lessons")
FIELD = re.compile(rf"({'|'.join(FIELDS[:6])}): +(\S.*)")
ARGUMENT = re.compile(r"(\S(?:.*?\S)?)  +(\S.*)")
EQUATION = re.compile(r"[a-zA-Z_]\w*(?:\[[^]]*\])? \+?= \S.*")  # "y[n, f, i, j] = ..." and "dx[n] += ..."


def convert(lines):
    """The lines of a docstring, without its indentation, as lines of reStructuredText."""
    converted = []
    for block in _blocks(lines):
        converted += ["", *_block(block)]
    return [*converted, ""]


# --- blocks -------------------------------------------------------------------------------------------------


def _blocks(lines):
    """Lists of lines that belong together. A block ends at a blank line, and where a field or an argument begins."""
    blocks, block = [], []
    for line in [*lines, ""]:
        begins = not line.strip() or _kind(line) in ("field", "argument")
        continues = block and line[:1].isspace() and line.strip() and _kind(block[0]) in ("field", "argument")
        if begins and not continues and block:
            blocks.append(block)
            block = []
        if line.strip():
            block.append(line)
    return blocks


def _kind(line):
    if FIELD.match(line):
        return "field"
    if line[:1].isspace():
        return "indented"
    if EQUATION.match(line) and not line.rstrip().endswith("."):
        return "equation"
    if ARGUMENT.match(line):
        return "argument"
    return "equation" if EQUATION.match(line) and "[" in line else "text"


def _block(block):
    kind = _kind(block[0])
    if kind == "field":
        name, text = FIELD.match(" ".join(line.strip() for line in block)).groups()
        return [f":{name}: {_escaped(text)}"]
    if kind == "argument":
        name, text = ARGUMENT.match(block[0]).groups()
        text = " ".join([text, *(line.strip() for line in block[1:])])
        return [f"``{name}``", f"   {_escaped(text)}"]
    equations = [line for line in block if _kind(line) == "equation"]
    if equations and len(equations) == len(block):
        return _literal(block)
    if all(line[:1].isspace() for line in block):
        return _literal(block)
    return [_escaped(" ".join(line.strip() for line in block))]


def _literal(block):
    return [".. code-block:: none", "   :class: equation", "", *(f"   {line}" for line in block)]


def _escaped(text):
    """Backticks mark code as in Markdown; other signs of reStructuredText mean themselves."""
    pieces = re.split(r"(`[^`]+`)", text)
    return "".join(f"`{piece}`" if piece.startswith("`") else re.sub(r"([*|\\_])", r"\\\1", piece) for piece in pieces)


# --- Sphinx -------------------------------------------------------------------------------------------------


def _process(app, what, name, obj, options, lines):
    lines[:] = convert(lines)


def setup(app):
    app.connect("autodoc-process-docstring", _process)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
