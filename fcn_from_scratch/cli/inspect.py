"""`fcn inspect`: receptive field, output size and cost of each layer of a network, its crops, and which images fit."""

import textwrap

from fcn_from_scratch import geometry, models
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common
from fcn_from_scratch.geometry.sizes import LARGEST

HELP = "Print a network's layers with receptive field, size and cost, explain its crops, and tell which images fit."
EXAMPLE = """  fcn inspect fcn8s
  fcn inspect fcn32s --size 375x500 --num-classes 60
  fcn inspect mini_fcn16s --size 64 --width 12 --fc6-kernel 2"""


def add_arguments(parser):
    parser.add_argument("model", metavar="MODEL", help=", ".join(models.NAMES))
    parser.add_argument(
        "--size", type=common.size, metavar="HxW", help="size of the image (default 500x500, mini 96x96)"
    )
    parser.add_argument(
        "--num-classes", type=common.positive, default=21, metavar="K", help="number of classes (default 21)"
    )
    parser.add_argument("--width", type=common.positive, metavar="N", help="channels of the first stage")
    parser.add_argument("--pad", type=int, metavar="N", help="padding of the first convolution")
    parser.add_argument("--fc6-kernel", type=common.positive, metavar="N", help="kernel size of fc6, in cells of pool5")
    parser.add_argument("--fc6-padding", type=int, metavar="N", help="padding of fc6")
    parser.add_argument("--upsampling", choices=models.UPSAMPLING, help="kind of upsampling (default fixed)")
    common.add_run_arguments(parser)


def run(args):
    names = ("width", "pad", "fc6_kernel", "fc6_padding", "upsampling")
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    common.check_device(args.device)
    net = common.build_model(args.model, args.num_classes, args.seed, **options)
    size = args.size or _usual_size(net)
    try:
        table = geometry.table(net, size)
    except ValueError as error:
        raise InputError(f"an image of {size[0]}x{size[1]} does not fit {args.model}: {error}") from None
    print(f"{args.model}, one image of {size[0]}x{size[1]}, float32")
    print(table)
    print(_in_words(table))
    for name, offset, text in geometry.explain_crops(net):
        print(f"\n{name}: offset {offset}\n{textwrap.indent(text, '  ')}")
    print(f"\nsizes\n{textwrap.indent(_sizes(net), '  ')}")
    return 0


def _usual_size(net):
    """The usual side of an image: a classifier's input, 500 as in VOC, or 96 as in the lessons."""
    if "classifier" in net.name:
        return (max(geometry.sizes_that_fit(net), default=LARGEST),) * 2
    return (96, 96) if net.name.startswith("mini") else (500, 500)


def _in_words(table):
    return (
        "field, stride and start are in image pixels: cell i looks at `field` pixels around start + stride * i.\n"
        "memory: each layer's output. ReLU and dropout overwrite their input; a pool's indices come on top."
        f" In all: {table.activation_bytes:,} bytes.\n"
        f"multiply-adds: {table.multiply_adds:,} for one forward; a backward takes about twice as many."
    )


def _sizes(net):
    """Lines that tell which square images fit the network as built, and with pools that round down."""
    lines = [_range(geometry.sizes_that_fit(net), "as built")]
    if geometry.explain_crops(net):  # only crops need outputs that cover the image
        lines.append(_range(geometry.sizes_that_fit(net, ceil_mode=False), "if every pool rounded down"))
        pad = geometry.smallest_pad(net)
        lines.append(f"smallest padding of the first convolution with which all fit: {'none' if pad is None else pad}")
    return "\n".join(lines)


def _range(fitting, condition):
    """A line about the sizes 1..LARGEST that fit: all, none, a range, or how many do not fit and the first of these."""
    if len(fitting) == LARGEST:
        return f"{condition}: every size fits (1 to {LARGEST} pixels tried)"
    if not fitting:
        return f"{condition}: no size fits (1 to {LARGEST} pixels tried)"
    first, last = fitting[0], fitting[-1]
    if len(fitting) == last - first + 1:
        extent = f"{first} pixels and more" if last == LARGEST else f"{first} to {last} pixels"
        return f"{condition}: images of {extent} fit"
    gaps = sorted(set(range(first, LARGEST + 1)) - set(fitting))
    return (
        f"{condition}: {LARGEST - len(fitting)} of {LARGEST} sizes do not fit: those below {first}, then "
        f"{', '.join(map(str, gaps[:6]))}{' ...' if len(gaps) > 6 else ''}"
    )
