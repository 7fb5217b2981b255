"""`fcn bench`: how fast a network runs and trains here, beside PyTorch on the same cores."""

import warnings

from fcn_from_scratch import bench, memory, models, threads, viz
from fcn_from_scratch.bench import chart, report
from fcn_from_scratch.bench.measuring import COMPETITIONS, load
from fcn_from_scratch.bench.torch_rival import installed
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common

HELP = "Measure how fast a network runs and trains here, beside PyTorch in the same run: times, ratios, memory, errors."
EXAMPLE = """  fcn bench                                   FCN-8s on VGG16, a picture of 500x500; about two minutes
  fcn bench --zero-frame                      the same, and as a stream of pictures of one size
  fcn bench --train --layers --out runs/bench     a training step; every convolution alone; CSV, JSON and a chart
  fcn bench --small                           the training step of a lesson-size network, 64x64 and 128x128
  fcn bench --peer none --model mini_fcn8s    without PyTorch: against im2col and the best matrix product"""

BATCH, SIZE = 1, (500, 500)
SMALL_BATCH, SMALL_SIZES = 8, ((64, 64), (128, 128))


def add_arguments(parser):
    parser.add_argument("--peer", choices=tuple(COMPETITIONS), help="default torch, if it is installed")
    parser.add_argument("--model", metavar="NAME", help=f"default fcn8s; {', '.join(models.NAMES)}")
    parser.add_argument("--size", type=common.size, metavar="HxW", help="of the pictures (default 500x500)")
    parser.add_argument("--batch", type=common.positive, metavar="N", help="pictures at a time (default 1)")
    parser.add_argument("--width", type=common.positive, metavar="W", help="channels of the first stage")
    parser.add_argument("--train", action="store_true", help="a training step: forward, loss, backward, SGD")
    parser.add_argument("--layers", action="store_true", help="also every convolution alone: forward, both gradients")
    parser.add_argument(
        "--small", action="store_true", help="the training step of a lesson-size network, batch 8, in two sizes"
    )
    parser.add_argument(
        "--zero-frame", action="store_true", help="also the stream of pictures of one size, see models.ZeroFrame"
    )
    parser.add_argument("--threads", type=common.positive, metavar="N", help="of every rival (default: the cores)")
    parser.add_argument(
        "--repeats", type=common.positive, metavar="R", help="rounds (default: 40 seconds' worth, at least 5)"
    )
    parser.add_argument(
        "--mallopt", action="store_true", help="let glibc's malloc keep freed memory, in every rival's process"
    )
    parser.add_argument("--out", metavar="DIR", help="write bench.csv, bench.json and bench.png there")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights and pictures (default 0)")


def run(args):
    peer = args.peer or ("torch" if installed() else "none")
    if peer == "torch" and not installed():
        raise InputError("--peer torch: PyTorch is not installed; pip install torch, or pass --peer none")
    works = _works(args)
    for work in works:
        work.check(len(COMPETITIONS[peer][0]) + args.zero_frame, memory.available())
        if args.zero_frame:
            models.ZeroFrame(work.outline())  # refuses what it does not take
    folder = None if args.out is None else common.output_folder(args.out)
    number = args.threads or threads.workers()
    at_start = load()
    on = ", ".join(f"{name} {value}" for name, value in report.machine().items() if value)
    on += "" if at_start is None else f"; load average {at_start:.1f}"
    print(on, flush=True)
    if peer == "none":
        print(report.NO_PEER)
    _warn(report.disturbance(at_start))
    results = []
    for work in works:
        result = bench.measure(work, peer, number, args.repeats, args.layers, args.zero_frame, args.mallopt)
        results.append(result)
        print(f"\n{report.text(result)}", flush=True)
    print(f"\n{report.LEGEND}")
    if at_start is not None:
        print(f"load average at the end {load():.1f}, our own {number} thread{'s' * (number > 1)} included")
        _warn(report.disturbance(load(), number))
    if folder is not None:
        arguments = {name: value for name, value in vars(args).items() if name != "run"}
        report.write_csv(folder / "bench.csv", results)
        report.write_json(folder / "bench.json", results, {"arguments": arguments, "peer": peer})
        viz.save_figure(chart.chart(results, on), folder / "bench.png")
        print(f"wrote bench.csv, bench.json and bench.png to {folder}/")
    return 0


def _works(args):
    """What is measured, one after another."""
    if args.zero_frame and (args.train or args.small):
        raise InputError("--zero-frame is for inference: every training step changes the frame")
    if args.small:
        for name in ("model", "size", "batch", "width"):
            if getattr(args, name) is not None:
                raise InputError(f"--small is a network, sizes and a batch of its own: leave out --{name}")
        return [bench.Work(bench.LESSON, size, SMALL_BATCH, True, seed=args.seed) for size in SMALL_SIZES]
    options = {} if args.width is None else {"width": args.width}
    model, size, batch = args.model or "fcn8s", args.size or SIZE, args.batch or BATCH
    return [bench.Work(model, size, batch, args.train, options, seed=args.seed)]


def _warn(sentence):
    if sentence:
        warnings.warn(sentence, stacklevel=2)
