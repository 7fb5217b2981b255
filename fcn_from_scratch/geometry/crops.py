"""Explain in words where a crop offset comes from."""

from fcn_from_scratch.geometry.fields import crop_offset
from fcn_from_scratch.geometry.graph import graph, grids
from fcn_from_scratch.geometry.sizes import cropped
from fcn_from_scratch.layers.window import in_short


def explain_crop(field, reference, name="the map", reference_name="the reference"):
    """Explain `crop_offset(field, reference)`: the starts and strides of both maps, and the division.

    Returns: str, of several lines.
    Raises: ValueError as crop_offset does.
    """
    offset = crop_offset(field, reference)
    here, there, stride = _brackets(field.start), _brackets(reference.start), reference.stride
    lines = [
        f"{name} starts at {field.start}, {reference_name} at {reference.start}; the stride of both is {stride}",
        f"({there} - {here}) / {stride} = {offset}",
    ]
    if isinstance(offset, int):
        lines.append(_meaning(offset, name, reference_name, "pixel" if stride == 1 else "cell"))
    return "\n".join(lines)


def explain_crops(net):
    """Explain every crop of a network, from coarse to fine: what was upsampled, which two maps meet, and their offset.

    None of it depends on the image's size.
    Returns: a list of (name, offset, text).
    """
    found = graph(net)
    fields, by_name, explained = grids(found), {node.name: node for node in found}, []
    for node in found:
        if node.crops:
            cut, reference = cropped(node)
            offset = crop_offset(fields[cut], fields[reference])
            text = explain_crop(fields[cut], fields[reference], cut, "the image" if reference == "image" else reference)
            up = next(by_name[source] for source in node.sources if by_name[source].layer.window.transposed)
            explained.append((node.name, offset, f"{_upsampled(up, fields)}\n{text}"))
    return explained


def _upsampled(node, fields):
    """Say why an upsampled map starts before the map that it was made from: by half its kernel, or half its block."""
    name, layer, (source,) = node
    k = in_short(layer.window.kernel_size)
    before, after = fields[source], fields[name]
    return (
        f"{source} starts at {before.start}; each of its cells is spread by {name} over {k} cells of "
        f"{_many(after.stride, 'pixel')}, so {name} starts ({k} - 1) / 2 of them earlier, at {after.start}"
    )


def _meaning(offset, name, reference_name, word):
    if offset < 0:
        return f"{reference_name} starts {_many(-offset, word)} before {name}, so it is cropped instead"
    return (
        f"{reference_name} begins at {word} {offset} of {name}: the first {_many(offset, word)} of {name} are cut off"
    )


def _many(number, word):
    return f"{number} {word}" + ("" if number == 1 else "s")


def _brackets(start):
    """Put a negative number in brackets, so that it can be subtracted."""
    return f"({start})" if not isinstance(start, tuple) and start < 0 else start
