"""Write a network as an ONNX file."""

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.lab.export import onnx_graph, onnx_layers, onnx_messages

LARGEST = 0x7FFFFFFF  # bytes; protocol buffers cannot hold more in one file


def write(path, model, facts, shape=None):
    """Write `model`, in eval mode, with its weights. Returns: a sentence about the file.

    `facts` become the file's metadata_props. The picture is preprocessed before it is given to the graph.
    shape  (batch, height, width) of the pictures; without it these sizes stay free
    Raises: InputError for a layer that has no counterpart in ONNX, and for more than 2 GiB.
    """
    graph, inputs, outputs = onnx_graph.build(model, shape)
    shapes = ", ".join(map(_in_words, inputs)), ", ".join(map(_in_words, outputs))
    message = onnx_messages.model(
        onnx_messages.graph(
            facts["model"],
            f"{shapes[0]} -> {shapes[1]}. The image is preprocessed: {facts.get('input', 'not recorded')}",
            graph.nodes,
            graph.constants,
            [onnx_messages.value(*each) for each in inputs],
            [onnx_messages.value(*each) for each in outputs],
        ),
        facts,
    )
    if message.size > LARGEST:
        raise InputError(
            f"{facts['model']} takes {message.size / 2**30:.1f} GiB, but a single ONNX file can hold at most 2: "
            f"{onnx_layers.INSTEAD}"
        )
    write_atomically(path, message.write)
    return f"ONNX, opset {onnx_messages.OPSET}, {shapes[0]} -> {shapes[1]}"


def _in_words(value):
    name, shape = value
    return f"{name} ({', '.join(map(str, shape))})"
