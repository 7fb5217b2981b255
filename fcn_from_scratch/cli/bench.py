"""`fcn bench`: how fast a network runs and trains here, compared with other programs on the same cores or GPU."""

import argparse
import datetime
import math
import sys
import warnings
from contextlib import ExitStack

from fcn_from_scratch import backend, models, viz
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common, signals
from fcn_from_scratch.cli.bench_output import Output
from fcn_from_scratch.engine import threads
from fcn_from_scratch.lab import bench, memory
from fcn_from_scratch.lab.bench import gpu, peers, report, scaling, scaling_chart, scaling_report
from fcn_from_scratch.lab.bench.kernel_cases import Sizes
from fcn_from_scratch.lab.bench.measuring import load
from fcn_from_scratch.lab.bench.peers import PEERS
from fcn_from_scratch.lab.bench.processes import Process

HELP = (
    "Measure how fast a network runs and trains here, compared with PyTorch, ONNX Runtime and OpenVINO: times, ratios, "
    "memory and errors."
)
EXAMPLE = """  fcn bench                                   FCN-8s on VGG16, 500x500 pixels; about two minutes
  fcn bench --zero-frame                      also with the zero frame, as fcn segment uses it
  fcn bench --train --layers --out runs/bench     a training step, each convolution alone; CSV, JSON and a chart
  fcn bench --small                           the training step of a lesson-size network, 64x64 and 128x128
  fcn bench --peer onnxruntime,openvino       compared with these two only
  fcn bench --peer none --model mini_fcn8s    without a peer: compared with im2col and the best matrix product
  fcn bench --scale --out runs/scale          over size, batch and threads; about half an hour
  fcn bench --layers --budget 120             in two minutes, with as many layers as fit
  fcn bench --device cuda --layers --kernels  on a GPU: also each CUDA kernel alone, beside CuPy's functions"""

BATCH, SIZE = 1, (500, 500)
SMALL_BATCH, SMALL_SIZES = 8, ((64, 64), (128, 128))
NOT_SCALED = "small", "batch", "layers", "kernels", "zero_frame", "budget"  # they do not go together with --scale
GPU_BUDGET = 75  # seconds, by default
ON_CPU = "threads", "mallopt", "zero_frame"  # options for the CPU only
ON_GPU = "kernels", "tf32"


def add_arguments(parser):
    _add_network(parser.add_argument_group("the network"))
    _add_measurements(parser.add_argument_group("what is measured"))
    _add_rivals(parser.add_argument_group("the rivals and the machine"))
    parser.add_argument(
        "--out", type=common.folder, metavar="DIR", help="write bench.csv, bench.json and bench.png to this folder"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of weights and pictures (default 0)")


def _add_network(group):
    group.add_argument("--model", metavar="NAME", help=f"default fcn8s; one of {', '.join(models.NAMES)}")
    group.add_argument("--size", type=common.size, metavar="HxW", help="size of the pictures (default 500x500)")
    group.add_argument("--batch", type=common.positive, metavar="N", help="pictures in a batch (default 1)")
    group.add_argument("--width", type=common.positive, metavar="W", help="channels of the first stage")
    group.add_argument(
        "--small", action="store_true", help="measure the training step of a lesson-size network, batch 8, in two sizes"
    )


def _add_measurements(group):
    group.add_argument("--train", action="store_true", help="measure a training step: forward, loss, backward, SGD")
    group.add_argument(
        "--zero-frame",
        action="store_true",
        help="also measure models.ZeroFrame, and a single picture as fcn segment runs it",
    )
    group.add_argument(
        "--layers", action="store_true", help="also measure each convolution alone: forward and both gradients"
    )
    group.add_argument("--kernels", action="store_true", help="also measure each CUDA kernel alone; with --device cuda")
    group.add_argument(
        "--scale",
        action="store_true",
        help="measure time and peak memory over sizes, batches and threads (1 and --threads), and fit exponents",
    )
    group.add_argument(
        "--sizes", type=_several(common.size), metavar="S,S", help="sizes for --scale (default 250 to 2000 pixels)"
    )
    group.add_argument(
        "--batches", type=_several(common.positive), metavar="N,N", help="batches for --scale (default 1,2,4,8)"
    )
    group.add_argument(
        "--repeats", type=common.positive, metavar="R", help="rounds (default: as many as take 40 seconds, at least 5)"
    )
    group.add_argument(
        "--budget",
        type=_seconds,
        metavar="SECONDS",
        help="end within about this time: the whole network first, then --layers, then --kernels; what does not fit is "
        f"named (default: none; {GPU_BUDGET} with --device cuda)",
    )


def _add_rivals(group):
    group.add_argument(
        "--peer",
        type=_peer_names,
        metavar="NAME[,NAME]",
        help=f"compare with {', '.join(PEERS)}, or none (default: all that are installed)",
    )
    group.add_argument("--device", choices=backend.DEVICES, default="cpu", help="where everything runs (default cpu)")
    group.add_argument("--threads", type=common.positive, metavar="N", help="threads (default: one for each core)")
    group.add_argument(
        "--mallopt", action="store_true", help="let glibc's malloc keep freed memory in each measured process"
    )
    group.add_argument(
        "--tf32", action="store_true", help="allow the GPU's libraries to round factors to TF32 (default: not)"
    )


def run(args):
    works = _works(args)
    budget = bench.Budget(GPU_BUDGET if args.budget is None and args.device == "cuda" else args.budget)
    facts = _gpu_facts(args) if args.device == "cuda" else None
    settings = _settings(args, works, facts, budget)
    if args.scale:
        plan = _plan(args, works[0], settings)
    else:
        _check(args, works, settings, facts)
    folder = None if args.out is None else common.output_folder(args.out)
    on, at_start = _described(settings, facts), load()
    print(on if at_start is None else f"{on}; load average {at_start:.1f}", flush=True)
    if not settings.peers:
        blind = _blind(facts)
        print(f"{blind}.\n" * (blind is not None) + report.NO_PEER[args.device])
    _warn(report.disturbance(at_start))
    about = {
        "arguments": {name: value for name, value in vars(args).items() if name != "run"},
        "peers": settings.peers,
        "gpu": facts,
    }
    if args.scale:
        _scale(plan, settings, folder, about, on)
        return 0
    return _measure(args, works, settings, Output(settings, folder, about, on))


def _settings(args, works, facts, budget):
    taking_part, absent = _peers(args, works[0].train, facts)
    return bench.Settings(
        peers=taking_part,
        device=args.device,
        threads=args.threads or threads.workers(),
        repeats=args.repeats,
        layers=args.layers,
        extras=_extras(args),
        mallopt=args.mallopt,
        tf32=args.tf32,
        absent=absent,
        budget=budget,
    )


def _extras(args):
    """More rivals of ours."""
    if args.small and args.device == "cpu":
        return ("loop",)
    return ("zero_frame", "one_picture") if args.zero_frame else ()


def _check(args, works, settings, facts):
    """Refuse works that cannot be measured. Raises: InputError."""
    for work in works:
        work.check(len(settings.rivals), memory.available() if facts is None else facts["free"])
        if args.zero_frame:
            models.ZeroFrame(work.outline())  # raises an InputError if it cannot take this network
        if args.kernels:
            Sizes(work)


def _measure(args, works, settings, output):
    """Measure the works and, if asked, the kernels, and print what comes. Returns the exit status."""
    try:
        _measure_all(args, works, settings, output)
    except bench.LateError as late:
        print(f"fcn: {settings.budget} is over: {late}{output.stop()}", file=sys.stderr)
        return 0 if output.results else 1
    except signals.StoppedError as stop:
        stop.going_on = output.stop()
        raise
    on_cpu = settings.device == "cpu"
    print(f"\n{report.LEGEND if on_cpu else report.GPU_LEGEND}")
    _end(settings.threads if on_cpu else 1)
    output.write()
    return 0


def _measure_all(args, works, settings, output):
    weights = [1 + settings.layers] * len(works) + [0.5] * args.kernels  # shares of the budget
    for place, work in enumerate(works):
        share = weights[place] / sum(weights[place:])
        output.finish_work(bench.measure(work, settings, output.work(), share))
    if args.kernels:
        ceilings = output.results[0].ceilings
        output.finish_kernels(bench.measure_kernels(works[0], settings, output.tell_kernels, ceilings))


def _end(number):
    """Print the load at the end, with `number` threads of our own."""
    now = load()
    if now is not None:
        print(f"load average at the end {now:.1f}, with our own {number} thread{'s' * (number > 1)}")
        _warn(report.disturbance(now, number))


def _plan(args, work, settings):
    """The scaling.Plan. Raises: InputError for a size that does not fit the network."""
    sizes = args.sizes or scaling.SIZES
    usual = scaling.SIZE_OF_BATCHES if scaling.SIZE_OF_BATCHES in sizes else min(sizes)
    work = work._replace(size=args.size or usual)
    for size in (work.size, *sizes):
        work._replace(size=size).check(len(settings.rivals))
    return scaling.Plan(work, sizes, args.batches or scaling.BATCHES, tuple(sorted({1, settings.threads})))


def _scale(plan, settings, folder, about, on):
    """Measure a Plan, print each row as it comes, and write the files. The CSV file grows with each point."""
    rows = []

    def tell(new):
        print(*map(scaling_report.line, new), sep="\n", flush=True)
        rows.extend(new)
        if folder is not None:
            scaling_report.write_csv(folder / "scale.csv", plan.work.name, rows)

    print(f"\n{plan.work.name}, over size, batch and threads\n{scaling_report.heading()}", flush=True)
    result = bench.measure_scale(plan, settings, tell)
    print("", *result.peers, *report.absences(result), sep="\n")
    print(f"\n{scaling_report.fitted(result)}\n\n{scaling_report.LEGEND}")
    _end(settings.threads)
    if folder is not None:
        scaling_report.write_json(folder / "scale.json", result, about)
        viz.save_figure(scaling_chart.chart(result, f"{plan.work.name}; {on}"), folder / "scale.png")
        print(f"wrote scale.csv, scale.json and scale.png to {folder}/")


def _works(args):
    """The list of Works to measure.

    Raises: InputError for options that do not go together.
    """
    others = ON_CPU if args.device == "cuda" else ON_GPU
    for name in others:
        if getattr(args, name):
            device = "cpu" if args.device == "cuda" else "cuda"
            raise InputError(f"--{name.replace('_', '-')} is for --device {device}")
    if args.zero_frame and (args.train or args.small):
        raise InputError("--zero-frame is for inference: backward needs the whole maps")
    for name in NOT_SCALED if args.scale else ("sizes", "batches"):
        if getattr(args, name):
            joined = f"--{name.replace('_', '-')}"
            raise InputError(f"{joined} does not go with --scale" if args.scale else f"{joined} is for --scale")
    if args.scale and args.device == "cuda":
        raise InputError("--scale is for --device cpu")
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
    makes = [gpu.Gpu]
    if "torch" in (args.peer or PEERS) and peers.installed("torch"):
        makes.append(gpu.TorchGpu)
    facts = {}
    with ExitStack() as stack:
        processes = [stack.enter_context(Process(make, **known, wait=False)) for make in makes]
        for process in processes:
            process.ready()
            facts |= process.ask("facts")
    return facts


def _seconds(text):
    """argparse's type of a number of seconds above zero."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text!r}")
    return seconds


def _several(kind):
    """argparse's type of several values of a `kind`, joined by commas: a tuple without repetitions."""

    def values(text):
        return tuple(dict.fromkeys(kind(word.strip()) for word in text.split(",")))

    values.__name__ = f"list of {getattr(kind, '__name__', 'value')}s"
    return values


def _peer_names(text):
    """argparse's type of "torch,openvino" or "none": a tuple of names in PEERS."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if names == (peers.NONE,):
        return ()
    for name in names:
        if name == peers.NONE:
            raise argparse.ArgumentTypeError(f"'none' stands alone, it got {text!r}")
        if name not in PEERS:
            choices = ", ".join(map(repr, (*PEERS, peers.NONE)))
            raise argparse.ArgumentTypeError(f"invalid choice: {name!r} (choose from {choices})")
    return names


def _peers(args, train, facts):
    """(names of the peers that take part, a dict title -> why a peer does not).

    By default all that are installed are asked.
    Raises: InputError if peers were asked for and none of them is installed, or sees the GPU.
    """
    asked = tuple(filter(peers.installed, PEERS)) if args.peer is None else args.peer
    missing = {name: _missing(name, facts) for name in asked}
    if args.peer and all(missing.values()):
        raise InputError(f"--peer {','.join(asked)}: {'; '.join(missing.values())}, or pass --peer none")
    hindered = {name: missing[name] or peers.hindrance(name, args.device, train) for name in asked}
    absent = {PEERS[name].title: why for name, why in hindered.items() if why}
    return tuple(name for name in asked if not hindered[name]), absent


def _missing(name, facts):
    """Why a peer cannot be used at all, with a remedy, or None."""
    if not peers.installed(name):
        return f"{PEERS[name].title} is not installed; {peers.INSTALL}"
    return _blind(facts) if name == "torch" else None


def _blind(facts):
    """Why PyTorch does not see the GPU; None if it does, or if no GPU is used. `facts`: of _gpu_facts."""
    return gpu.blind(facts) if facts is not None and "torch" in facts else None


def _described(settings, facts):
    """The machine in words."""
    found = report.machine()
    if facts is not None:
        for name in PEERS:
            del found[name]  # the GPU's description contains PyTorch's
    machine = ", ".join(f"{name} {value}" for name, value in found.items() if value)
    if facts is None:
        return machine
    return f"{report.described(facts, settings.tf32, settings.peers)}; {machine}; {datetime.date.today().isoformat()}"


def _warn(sentence):
    if sentence:
        warnings.warn(sentence, stacklevel=2)
