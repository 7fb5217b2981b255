"""The house's docstrings as reStructuredText.

A docstring says: one sentence of meaning; an index equation; lines "Shapes: ...", "Returns: ..." and so on; lines
"name   meaning" for arguments; prose. Equations and indented lines are shown as they are written. The fields become a
list, the arguments a list of definitions, and names of the code are set as code.
"""

import re
import textwrap

FIELDS = "Shapes|Returns|Identity|Raises|Source|Example"
FIELD = re.compile(rf"({FIELDS}): +(\S.*)")
LATER_FIELD = re.compile(rf"(?<=[.\])]) +(?=(?:{FIELDS}): )")  # "Shapes: x (N, C). Returns: y like x."
ARGUMENT = re.compile(r"(\S(?:.*?\S)?)  +(\S.*)")
EQUATION = re.compile(r"[a-zA-Z_]\w*(?:\[[^]]*\])? \+?= \S.*")  # "y[n, f, i, j] = ..." and "dx[n] += ..."
CODE = re.compile(
    r"(?<![^\s(\[])(?:"
    r"\w[\w.]*/[\w./]*\.\w+"  # tests/ops/test_conv.py
    r"|(?:[a-z_]\w*(?:\.\w+)+|(?!sum_)\w*[a-z0-9]_\w+)"  # ops.loops.conv2d_loops, ignore_index; sum_i is a sum
    r"(?:\([^()]*\)|\[[^]]*\]|=\w+|=\([^()]*\))?"  # geometry.receptive_field(net), num_classes=60
    r")(?=[\s.,;:)\]'\"]|$)"
)


def convert(lines):
    """The lines of a docstring, without its indentation, as lines of reStructuredText."""
    split = [part for line in lines for part in _with_each_field_on_its_line(line)]
    converted, before = [], None
    for kind, block in _blocks(split):
        if not (kind == before == "field"):
            converted.append("")  # fields that follow each other are one list
        converted += WRITERS[kind](block)
        before = kind
    return [*converted, ""]


# --- reading ------------------------------------------------------------------------------------------------


def _with_each_field_on_its_line(line):
    return LATER_FIELD.split(line) if not line[:1].isspace() else [line]


def _blocks(lines):
    """(kind, lines) of what belongs together."""
    blocks, block = [], []
    for line in [*lines, ""]:
        if block and _begins_a_block(line, _kind(block[0])):
            blocks.append((_kind(block[0]), block))
            block = []
        if line.strip():
            block.append(line)
    return blocks


def _begins_a_block(line, kind_before):
    """Does this line end the block before it?"""
    if not line.strip():
        return True
    if line[:1].isspace():
        return False
    kind = _kind(line)
    if kind == "equation":
        return kind_before in ("field", "argument")
    return kind in ("field", "argument") or kind_before in ("equation", "argument")


def _kind(line):
    if line[:1].isspace():
        return "literal"
    if FIELD.match(line):
        return "field"
    if EQUATION.match(line) and ("[" in line or not line.endswith(".")):
        return "equation"
    return "argument" if ARGUMENT.match(line) else "text"


# --- writing ------------------------------------------------------------------------------------------------


def _literal(block):
    return [".. code-block:: text", "   :class: equation", "", *(f"   {line}" for line in block)]


def _field(block):
    name, text = FIELD.match(_joined(block)).groups()
    return [f":{name}: {_inline(text)}"]


def _argument(block):
    """A definition. Its text may hold definitions again, such as those of an argument's values."""
    name, text = ARGUMENT.match(block[0]).groups()
    below = textwrap.dedent("\n".join(block[1:])).splitlines()
    body = convert([" ".join(text.split()), *below])
    return [f"``{name}``", *(f"   {line}".rstrip() for line in body[1:-1])]


def _text(block):
    return [_inline(_joined(block))]


WRITERS = {"literal": _literal, "equation": _literal, "field": _field, "argument": _argument, "text": _text}


def _joined(block):
    return " ".join(" ".join(block).split())


def _inline(text):
    """Words in backticks are code, as in Markdown, and so are names; every other sign means itself."""
    pieces = re.split(r"(`[^`]+`)", text)
    return "".join(f"`{piece}`" if piece.startswith("`") else _prose(piece) for piece in pieces)


def _prose(text):
    pieces, place = [], 0
    for found in CODE.finditer(text):
        pieces += [_escaped(text[place : found.start()]), f"``{found[0]}``"]
        place = found.end()
    return "".join([*pieces, _escaped(text[place:])])


def _escaped(text):
    return re.sub(r"([*|\\_])", r"\\\1", text)


# --- Sphinx -------------------------------------------------------------------------------------------------


def _process(app, what, name, obj, options, lines):
    lines[:] = convert(lines)


def setup(app):
    app.connect("autodoc-process-docstring", _process)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
