#!/bin/sh
# What `make gpu` does: everything that only a GPU can show, in one report, in ten minutes at most. The most important
# part comes first. Each has its own limit of time, and what it printed before is kept (tests/tools/test_gpu_report.py).
# sh tests/tools/gpu_report.sh [PYTHON]      writes runs/gpu-report.txt, and files of fcn bench to runs/gpu/
PYTHON=${1:-python3}
REPORT=runs/gpu-report.txt
PATH=$PATH:/usr/local/cuda/bin # where the CUDA toolkit has its sanitizer
if ! "$PYTHON" -c "import cupy, sys; sys.exit(not cupy.cuda.is_available())" 2> /dev/null; then
    echo "make gpu needs an NVIDIA GPU with its driver, and CuPy in $PYTHON: pip install 'fcn_from_scratch[gpu]'" >&2
    exit 2
fi
mkdir -p runs
failed=0

# part SECONDS WORDS...: run a command, end it after these seconds as Ctrl-C does, and add what it prints to the report
part() {
    seconds=$1
    shift
    printf '\n##### %.200s\n' "$*" >> "$REPORT"
    printf '%.200s\n' "$*"
    if ! timeout -s INT -k 5 "$seconds" "$@" >> "$REPORT" 2>&1; then
        printf 'FAILED, or not ready after %s s: %.200s\n' "$seconds" "$*" | tee -a "$REPORT"
        failed=1
    fi
}

bench() {
    part "$1" "$PYTHON" -m fcn_from_scratch bench --device cuda --budget "$2" --out "runs/gpu/$3" $4
}

TEST="-m pytest -v --tb=short --no-header -p no:cacheprovider -W ignore -m gpu"

# under TOOL: the kernels under a sanitizer of NVIDIA's, many times slower, so each kernel once: tests/kernels/test_gpu.py
under() {
    REPORT=$REPORT.$1
    failed=0
    part 340 compute-sanitizer --tool "$1" --error-exitcode 9 "$PYTHON" $TEST tests/kernels/test_gpu.py -k each_kernel_once
    exit $failed
}

workers=
if "$PYTHON" -c "import xdist" 2> /dev/null; then
    workers="-n 12"
fi
date > "$REPORT"
part 10 nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
bench 90 75 inference "--layers --kernels"
bench 90 75 train "--train"
bench 50 40 small "--train --model mini_fcn8s --batch 8 --size 96"
# Nothing is timed from here on, so the sanitizers run beside the tests. Only kernels with shared memory can race, and
# racecheck takes no notice of the others.
tools=
if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck initcheck; do
        (under $tool) &
        tools="$tools $tool:$!"
    done
else
    echo "compute-sanitizer is not installed: memcheck, racecheck and initcheck were left out" | tee -a "$REPORT"
fi
# The kernels' tests come first. Files that speak of no GPU would only be collected in vain.
others=$(grep -lrwE "gpu|cupy|xp" tests --include="test_*.py" | grep -v "^tests/kernels/" | sort)
part 340 "$PYTHON" $TEST $workers tests/kernels $others
for tool in $tools; do
    wait "${tool#*:}" || failed=1
    cat "$REPORT.${tool%:*}" >> "$REPORT"
    rm "$REPORT.${tool%:*}"
done
echo "wrote $REPORT"
exit $failed
