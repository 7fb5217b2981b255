"""Mistakes in the doctor, in the published numbers and in exported files."""

from planting import Mutant

EXPORT = "lab/export/test_onnx.py"

MUTANTS = [
    Mutant(
        "exported crops begin at the corner",
        "lab.export.onnx_layers._cut",
        'graph.constant(f"{name}.starts", np.int64(offset))',
        'graph.constant(f"{name}.starts", np.int64([0, 0]))',
        EXPORT,
    ),
    Mutant(
        "exported skips are not scaled",
        "lab.export.onnx_layers._skip_fusion",
        "if layer.scale != 1:",
        "if layer.scale > 1:",
        EXPORT,
    ),
    Mutant(
        "an exported pool rounds down",
        "lab.export.onnx_layers._max_pool2d",
        '"ceil_mode": int(layer.ceil_mode)',
        '"ceil_mode": 0',
        EXPORT,
    ),
    Mutant(
        "exported averages count the padding",
        "lab.export.onnx_layers._avg_pool2d",
        "count_include_pad=int(layer.count_include_pad)",
        "count_include_pad=1",
        EXPORT,
    ),
    Mutant(
        "both exported streams read the colours",
        "lab.export.onnx_graph._images",
        "for number in (end - count, end)",
        "for number in (0, count)",
        EXPORT,
    ),
    Mutant(
        "exported size is that of the first map",
        "lab.export.onnx_graph.Graph.size",
        "if name not in self._sizes:",
        "name = next(iter(self._sizes), name)\nif name not in self._sizes:",
        EXPORT,
    ),
    Mutant(
        "exported integers of 128 have one byte",
        "lab.export.protobuf._varint",
        "while value > 127:",
        "while value > 128:",
        EXPORT,
    ),
    Mutant(
        "exported strides in the wrong order",
        "lab.export.torch_file._tensor",
        "prod(array.shape[axis + 1 :])",
        "prod(array.shape[:axis])",
        "lab/export/test_tensors.py",
    ),
    Mutant(
        "an exported state dict without its facts",
        "lab.export.torch_file.state_dict",
        "pickle.with_attributes(state, attributes)",
        "state",
        "lab/export/test_tensors.py",
    ),
    Mutant(
        "exported upsampling mixes the classes",
        "lab.export.tensors.dense_kernel",
        "np.eye(channels)",
        "np.ones((channels, channels))",
        "lab/export/test_tensors.py",
    ),
    Mutant(
        "the recorded options of any network count",
        "weights.identity.recorded_options",
        "or name not in (None, _noted_model(content))",
        "",
        "lab/export/test_tensors.py",
    ),
    Mutant(
        "published rows of another input",
        "lab.published.rows_for",
        "(row.model, row.modality) == (model, modality)",
        "row.model == model",
        "lab/test_published.py",
    ),
    Mutant(
        "red and blue swapped, their means not",
        "lab.doctor.preprocessing.reversed_order",
        "mean=transform.mean[::-1]",
        "mean=transform.mean",
        "lab/doctor",
    ),
    Mutant(
        "a score that all classes share counts as movement",
        "lab.doctor.preprocessing.reading",
        "scores - scores.mean(axis=1, keepdims=True)",
        "scores",
        "lab/doctor",
    ),
    Mutant(
        "the doctor leaves scales behind",
        "lab.doctor.network.other_scales",
        """
            for skip, scale in zip(skips, before):
                skip.scale = scale
        """,
        """
            for skip, scale in zip(skips, before):
                pass
        """,
        "lab/doctor",
    ),
    Mutant(
        "labels cut elsewhere than their picture",
        "lab.doctor.case._cut",
        "n - LARGEST, 0) // 2",
        "n - LARGEST, 0) // 2 * (array.ndim - 2)",
        "lab/doctor",
    ),
]
