"""`fcn export`: write a trained network for other programs."""

from fcn_from_scratch.checks import printable
from fcn_from_scratch.cli import common, segment_inputs
from fcn_from_scratch.cli.apart import Apart
from fcn_from_scratch.lab import export

HELP = "Write a trained network as ONNX, or its weights for PyTorch (.pth) or as .safetensors."
EXAMPLE = """  fcn export runs/shapes/checkpoint.npz shapes.onnx
  fcn export runs/shapes/checkpoint.npz shapes.pth
  fcn export fcn8s-heavy-pascal.caffemodel fcn8s.safetensors --model fcn8s

The ONNX file holds the network; height, width and batch size of its input stay free. A .pth is a state dict, with the
names of pytorch-fcn for the networks that it has. Every file also holds the preprocessing, the classes and their
colours. The network reads preprocessed pictures: see `transform` in the file, and datasets.Preprocess."""


def add_arguments(parser):
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", help="a checkpoint, or a .caffemodel, .pth, .npz or .safetensors"
    )
    parser.add_argument("out", metavar="OUT", help=f"the new file; it ends in {', '.join(export.WRITERS)}")
    parser.add_argument("--model", metavar="NAME", help="needed for plain weights; a checkpoint records its own")
    parser.add_argument(
        "--num-classes",
        type=common.positive,
        metavar="K",
        help="number of classes, for plain weights (default: the size of score_fr)",
    )
    common.add_preprocessing_argument(parser)
    segment_inputs.add_source_arguments(parser)


def run(args):
    export.check_name(args.out)
    Apart([args.checkpoint], "choose another name for the new file")([args.out])
    model, extra = common.load_model(args.checkpoint, args.model, args.num_classes, args.preprocessing, classifier=True)
    fed = segment_inputs.feed(model, segment_inputs.source_of(model, args))
    print(f"wrote {printable(args.out)}: {model.name}, {export.export(model, args.out, extra)}")
    print(fed)
    return 0
