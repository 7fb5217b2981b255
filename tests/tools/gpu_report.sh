#!/bin/sh
# What `make gpu` does: everything that only a GPU can show, in one report. Each part has its own limit of time.
# sh tests/tools/gpu_report.sh [PYTHON]      writes runs/gpu-report.txt, and files of fcn bench to runs/gpu/
PYTHON=${1:-python3}
REPORT=runs/gpu-report.txt
KERNEL_TESTS="-q -x -p no:cacheprovider -W ignore -m gpu tests/kernels"
if ! "$PYTHON" -c "import cupy, sys; sys.exit(not cupy.cuda.is_available())" 2> /dev/null; then
    echo "make gpu needs an NVIDIA GPU with its driver and CuPy; python -m pip install 'fcn_from_scratch[gpu]'" >&2
    exit 2
fi
mkdir -p runs
: > "$REPORT"
failed=0

# part SECONDS WORDS...: run a command, stop it after these seconds, and add what it prints to the report
part() {
    seconds=$1
    shift
    printf '\n##### %s\n' "$*" >> "$REPORT"
    echo "$*"
    if ! timeout -s TERM -k 20 "$seconds" "$@" >> "$REPORT" 2>&1; then
        echo "FAILED: $*" | tee -a "$REPORT"
        failed=1
    fi
}

date > "$REPORT"
part 20 nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
part 100 "$PYTHON" -m fcn_from_scratch bench --device cuda --budget 75 --layers --kernels --out runs/gpu/inference
part 100 "$PYTHON" -m fcn_from_scratch bench --device cuda --budget 75 --train --out runs/gpu/train
part 600 "$PYTHON" -m pytest -q -m gpu tests
if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck initcheck; do
        part 600 compute-sanitizer --tool $tool --error-exitcode 9 "$PYTHON" -m pytest $KERNEL_TESTS
    done
else
    echo "compute-sanitizer is not installed: memcheck, racecheck and initcheck were left out" | tee -a "$REPORT"
fi
echo "wrote $REPORT"
exit $failed
