"""`fcn bench`: how fast a network runs and trains on this machine, compared with PyTorch on the same cores or GPU."""

import datetime
import warnings

from fcn_from_scratch import backend, models, viz
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common
from fcn_from_scratch.engine import threads
from fcn_from_scratch.lab import bench, memory
from fcn_from_scratch.lab.bench import chart, gpu, kernel_report, report
from fcn_from_scratch.lab.bench.kernel_cases import Sizes
from fcn_from_scratch.lab.bench.measuring import load
from fcn_from_scratch.lab.bench.processes import Process
from fcn_from_scratch.lab.bench.rivals import PEERS
from fcn_from_scratch.lab.bench.torch_rival import installed

HELP = "Measure how fast a network runs and trains here, compared with PyTorch: times, ratios, memory and errors."
EXAMPLE = """  fcn bench                                   FCN-8s on VGG16, 500x500 pixels; about two minutes
  fcn bench --zero-frame --fast-fc6           also with the faster ways for many pictures of one size
  fcn bench --train --layers --out runs/bench     a training step, each convolution alone; CSV, JSON and a chart
  fcn bench --small                           the training step of a lesson-size network, 64x64 and 128x128
  fcn bench --peer none --model mini_fcn8s    without PyTorch: compared with im2col and the best matrix product
  fcn bench --device cuda --layers --kernels  on a GPU: also each CUDA kernel alone, beside CuPy's functions"""

BATCH, SIZE = 1, (500, 500)
SMALL_BATCH, SMALL_SIZES = 8, ((64, 64), (128, 128))
EXTRAS = "zero_frame", "fast_fc6"
ON_CPU = "threads", "mallopt", *EXTRAS  # options for the CPU only
ON_GPU = "kernels", "tf32"


def add_arguments(parser):
    parser.add_argument("--peer", choices=PEERS, help="default: torch if it is installed and sees the GPU, else none")
    parser.add_argument("--device", choices=backend.DEVICES, default="cpu", help="where everything runs (default cpu)")
    parser.add_argument("--model", metavar="NAME", help=f"default fcn8s; one of {', '.join(models.NAMES)}")
    parser.add_argument("--size", type=common.size, metavar="HxW", help="size of the pictures (default 500x500)")
    parser.add_argument("--batch", type=common.positive, metavar="N", help="pictures in a batch (default 1)")
    parser.add_argument("--width", type=common.positive, metavar="W", help="channels of the first stage")
    parser.add_argument("--train", action="store_true", help="measure a training step: forward, loss, backward, SGD")
    parser.add_argument(
        "--layers", action="store_true", help="also measure each convolution alone: forward and both gradients"
    )
    parser.add_argument(
        "--kernels", action="store_true", help="also measure each CUDA kernel alone; with --device cuda"
    )
    parser.add_argument(
        "--tf32", action="store_true", help="allow the GPU's libraries to round factors to TF32 (default: not)"
    )
    parser.add_argument(
        "--small", action="store_true", help="measure the training step of a lesson-size network, batch 8, in two sizes"
    )
    parser.add_argument(
        "--zero-frame",
        action="store_true",
        help="also measure models.ZeroFrame, and a single picture as fcn segment runs it",
    )
    parser.add_argument(
        "--fast-fc6",
        action="store_true",
        help="also measure fc6 by Winograd's F(2, 7), which takes 0.5 GiB more; with --zero-frame also both together",
    )
    parser.add_argument("--threads", type=common.positive, metavar="N", help="threads (default: one for each core)")
    parser.add_argument(
        "--repeats", type=common.positive, metavar="R", help="rounds (default: as many as take 40 seconds, at least 5)"
    )
    parser.add_argument(
        "--mallopt", action="store_true", help="let glibc's malloc keep freed memory in each measured process"
    )
    parser.add_argument(
        "--out", type=common.folder, metavar="DIR", help="write bench.csv, bench.json and bench.png to this folder"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of weights and pictures (default 0)")


def run(args):
    works = _works(args)
    facts = _gpu_facts(args) if args.device == "cuda" else None
    settings = bench.Settings(
        peer=_peer(args, facts),
        device=args.device,
        threads=args.threads or threads.workers(),
        repeats=args.repeats,
        layers=args.layers,
        extras=_extras(args),
        mallopt=args.mallopt,
        tf32=args.tf32,
    )
    for work in works:
        work.check(len(settings.rivals), memory.available() if facts is None else facts["free"])
        if args.zero_frame:
            models.ZeroFrame(work.outline())  # raises an InputError if it cannot take this network
        if args.kernels:
            Sizes(work)
    folder = None if args.out is None else common.output_folder(args.out)
    on = _described(settings, facts)
    at_start = load()
    print(on if at_start is None else f"{on}; load average {at_start:.1f}", flush=True)
    if settings.peer == "none":
        blind = gpu.blind(facts) if facts is not None and "torch" in facts else None
        print(f"{blind}.\n" * (blind is not None) + report.NO_PEER[args.device])
    _warn(report.disturbance(at_start))
    results, kernels = [], None
    for work in works:
        results.append(bench.measure(work, settings))
        print(f"\n{report.text(results[-1])}", flush=True)
    if args.kernels:
        kernels = bench.measure_kernels(works[0], settings)
        print(f"\n{kernel_report.text(kernels)}", flush=True)
    print(f"\n{report.LEGEND if facts is None else report.GPU_LEGEND}")
    number = settings.threads if facts is None else 1
    if at_start is not None:
        print(f"load average at the end {load():.1f}, with our own {number} thread{'s' * (number > 1)}")
        _warn(report.disturbance(load(), number))
    if folder is not None:
        arguments = {name: value for name, value in vars(args).items() if name != "run"}
        about = {"arguments": arguments, "peer": settings.peer, "gpu": facts}
        _write(folder, results, kernels, about, on)
    return 0


def _extras(args):
    """The extra rivals that the user asked for; after two of them also both together."""
    extras = tuple(name for name in EXTRAS if getattr(args, name))
    extras += ("stream",) if len(extras) > 1 else ()
    return (*extras, "one_picture") if args.zero_frame else extras


def _works(args):
    """The list of Works to measure.

    Raises: InputError for options that do not go together.
    """
    others = ON_CPU if args.device == "cuda" else ON_GPU
    for name in others:
        if getattr(args, name):
            device = "cpu" if args.device == "cuda" else "cuda"
            raise InputError(f"--{name.replace('_', '-')} is for --device {device}")
    if (args.zero_frame or args.fast_fc6) and (args.train or args.small):
        raise InputError("--zero-frame and --fast-fc6 are for inference: every training step changes the weights")
    if args.small:
        for name in ("model", "size", "batch", "width"):
            if getattr(args, name) is not None:
                raise InputError(f"--small has its own network, sizes and batch: leave out --{name}")
        return [bench.Work(bench.LESSON, size, SMALL_BATCH, True, seed=args.seed) for size in SMALL_SIZES]
    options = {} if args.width is None else {"width": args.width}
    model, size, batch = args.model or "fcn8s", args.size or SIZE, args.batch or BATCH
    return [bench.Work(model, size, batch, args.train, options, seed=args.seed)]


def _gpu_facts(args):
    """Facts about the GPU, from CuPy and, if it takes part, from PyTorch. Each is asked in a separate process."""
    common.check_device("cuda")
    known = {"threads": 1, "variables": gpu.variables(args.tf32), "title": "a look at the GPU"}
    with Process(gpu.Gpu, **known) as process:
        facts = process.ask("facts")
    if args.peer != "none" and installed():
        with Process(gpu.TorchGpu, **known) as process:
            facts |= process.ask("facts")
    return facts


def _peer(args, facts):
    """ "torch" or "none": the peer that the user asked for, by default PyTorch if it can run."""
    if args.peer == "none":
        return "none"
    missing = None if installed() else "PyTorch is not installed; pip install torch"
    if missing is None and facts is not None:
        missing = gpu.blind(facts)
    if args.peer == "torch" and missing is not None:
        raise InputError(f"--peer torch: {missing}, or pass --peer none")
    return "torch" if missing is None else "none"


def _described(settings, facts):
    """The machine in words."""
    found = report.machine()
    if facts is not None:
        del found["torch"]  # the GPU's description contains it
    machine = ", ".join(f"{name} {value}" for name, value in found.items() if value)
    if facts is None:
        return machine
    return f"{report.described(facts, settings.tf32, settings.peer)}; {machine}; {datetime.date.today().isoformat()}"


def _write(folder, results, kernels, about, on):
    names = ["bench.csv", "bench.json", "bench.png"]
    report.write_csv(folder / "bench.csv", results, kernels)
    report.write_json(folder / "bench.json", results, about, kernels)
    viz.save_figure(chart.chart(results, on), folder / "bench.png")
    if kernels is not None:
        names.append("kernels.png")
        viz.save_figure(chart.kernel_chart(kernels, on), folder / "kernels.png")
    print(f"wrote {', '.join(names[:-1])} and {names[-1]} to {folder}/")


def _warn(sentence):
    if sentence:
        warnings.warn(sentence, stacklevel=2)
