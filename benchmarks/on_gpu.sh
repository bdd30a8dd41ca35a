#!/usr/bin/env bash
# Check and time both engines on the GPU of a bare machine; needs no container and, with wheels carried along, no network.
#
#   benchmarks/on_gpu.sh carry FOLDER   with a network: fill FOLDER with everything that the machine needs
#   benchmarks/on_gpu.sh [FOLDER]       on the machine: set torch and neon up (from FOLDER), then verify, train, bench
#
# It needs an NVIDIA driver, g++, git, Python 3.10 to 3.14 (PYTHON names it) and, for neon, CPython 3.6 or 3.5 with its headers
# (NEON_BASE names it) and nvcc on PATH (docs/container.md says which CUDA). What it prints goes to results/on_gpu/CARD.txt too.
# An engine that cannot be set up is named and left out; the status is 1 then. SECONDS_PER_FIGURE (default 10) is for the bench.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
neon=$root/.neon/bin/python
failed=()

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'on_gpu: error: %s\n' "$*" >&2; exit 2; }

# Run ./run.sh neon, whose PYTHON is another one than that of torch.
make_neon() { PYTHON=${NEON_BASE:-} "$root/run.sh" neon; }

# Fill a folder on a machine with a network.
carry() {
    mkdir -p -- "$1"
    "$root/run.sh" --version
    make_neon
    "$root/.venv/bin/python" -m pip download --quiet --dest "$1" "${root}[torch,test]" 'setuptools>=64' wheel
    local file
    for file in docker/requirements-tools.txt requirements.txt docker/requirements-gpu.txt; do
        "$neon" -m pip download --quiet --no-deps --require-hashes --dest "$1" -r "$root/$file"
    done
    if compgen -G "$1/torch-*+cpu*.whl" >/dev/null; then
        echo "on_gpu: the index of this machine's pip gives a torch without CUDA; the -b gpu steps of torch will fail with it." >&2
    fi
    [ -d "$1/neon.git" ] || git clone --quiet --bare "${NEON_REPOSITORY:-https://github.com/NervanaSystems/neon.git}" "$1/neon.git"
    say "$1 is complete. Copy it and this checkout to the machine, then: benchmarks/on_gpu.sh $1"
}

# step NAME COMMAND...: run a command; go on where it fails.
step() {
    local name=$1 begun=$SECONDS
    shift
    say "$name"
    if "$@"; then
        printf '%s: done in %d s\n' "$name" $((SECONDS - begun))
    else
        printf '%s: FAILED (status %d)\n' "$name" $?
        failed+=("$name")
    fi
}

# Set neon up with pycuda and scikit-cuda, which are compiled against the CUDA on PATH.
set_neon_up() {
    local tool
    for tool in nvcc g++; do
        command -v "$tool" >/dev/null || { echo "$tool is not on PATH: neon compiles its kernels with it."; return 1; }
    done
    make_neon || return 1
    CUDA_ROOT=$(dirname -- "$(dirname -- "$(readlink -f -- "$(command -v nvcc)")")")
    export CUDA_ROOT LIBRARY_PATH=$CUDA_ROOT/lib64/stubs LD_LIBRARY_PATH=$CUDA_ROOT/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    "$neon" -m pip install --quiet --no-deps --require-hashes -r "$root/docker/requirements-gpu.txt" \
        || { echo 'pycuda could not be installed; what pip printed above says why.'; return 1; }
}

with_neon() { (cd -- "$root" && PYTHONPATH=$root "$neon" -m neon_rnn "$@"); }
with_torch() { "$root/run.sh" "$@"; }

measure() {
    local data=$results/data out=$results/runs
    nvidia-smi
    step 'torch is set up' with_torch doctor
    step 'synthetic portraits' with_torch data demo --force --out "$data" --train 1024 --test 256 --size 128
    step 'torch: verify' with_torch verify --engine torch -b gpu
    step 'torch: train' with_torch train --engine torch -b gpu --model rnn --data "$data" -e 2 --out "$out"
    step 'torch: bench' with_torch bench -b gpu --seconds "${SECONDS_PER_FIGURE:-10}" --out "$results/bench"
    step 'neon is set up' set_neon_up
    if [[ " ${failed[*]-} " != *' neon is set up '* ]]; then
        step 'neon: doctor' with_neon doctor
        step 'neon: verify' with_neon verify --engine neon -b gpu
        step 'neon: train' with_neon train --engine neon -b gpu --model rnn --data "$data" -e 2 --out "$out"
    fi
    if [ ${#failed[@]} -gt 0 ]; then
        say "NOT DONE on $card:$(printf ' [%s]' "${failed[@]}")"
        return 1
    fi
    say "all done on $card"
}

case "${1:-}" in
    carry)
        [ $# -eq 2 ] || fail 'carry takes one folder.'
        carry "$(readlink -m -- "$2")"
        exit
        ;;
    -*) fail "the argument is a folder of wheels or 'carry FOLDER', not '$1'." ;;
esac
[ $# -le 1 ] || fail "the one argument is a folder of wheels; there are $#."
card=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1) || card=''
[ -n "$card" ] || fail 'nvidia-smi shows no GPU here; the processor is measured by ./run.sh bench.'
if [ $# -eq 1 ]; then
    [ -d "$1" ] || fail "$1 is not a folder; 'benchmarks/on_gpu.sh carry $1' fills it where there is a network."
    wheels=$(readlink -f -- "$1")
    export PIP_NO_INDEX=1 PIP_FIND_LINKS=$wheels NEON_REPOSITORY=$wheels/neon.git
fi
results=$root/results/on_gpu/${card//[^A-Za-z0-9]/-}
mkdir -p -- "$results"
measure 2>&1 | tee "$results.txt"
