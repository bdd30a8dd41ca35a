#!/usr/bin/env bash
# The one front door: sets up what is missing, then runs.
#
#   ./run.sh                 the main job: demo data, a few epochs of the recurrent network, evaluation, table
#   ./run.sh COMMAND ...     any command of neon_rnn (./run.sh --help lists them)
#   ./run.sh test [...]      the tests (arguments go to pytest)
#   ./run.sh check           the linters
#   ./run.sh docs            the documentation as a site, in build/docs
#   ./run.sh bench [...]     the benchmark (benchmarks/)
#   ./run.sh neon [FOLDER]   a Python with Intel neon 2.6.0 outside the container, for the live parity tests
#
# PYTHON names the Python (3.10 to 3.14) to build .venv from; for ./run.sh neon, the CPython 3.5 or 3.6 to build from.
# CUDA (8.0 or 11.3) names the CUDA of the container for --engine neon -b gpu; without it the GPU decides (docker/gpu.sh).
# Paths in arguments are relative to where you are; the defaults (data/, results/) to this folder.
set -euo pipefail

# What a caller may have set for other programs would lead this one astray.
unset CDPATH PYTHONHOME PYTHONSTARTUP

self=$(readlink -f -- "${BASH_SOURCE[0]}")
root=${self%/*}
venv=$root/.venv

say() { printf '== %s\n' "$*" >&2; }
fail() { printf 'run.sh: error: %s\n' "$*" >&2; exit 1; }

case "$(uname -s)" in
    MINGW* | MSYS* | CYGWIN*) fail 'runs on Linux and macOS, not on Windows itself. Install WSL (wsl --install) and run it there.' ;;
esac

# Print the first Python that the pinned packages are built for.
find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3.10 python3.14 python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 15))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
        [ "$candidate" != "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is not a Python of version 3.10 to 3.14, for which the pinned packages are built."
    done
    fail 'no Python of version 3.10 to 3.14 found. Install one, or name it: PYTHON=/path/to/python3 ./run.sh'
}

# Install an extra of pyproject.toml into .venv, unless it is there from the same pyproject.toml.
ensure() {
    local extra=$1 stamp="$venv/.installed-$1" wanted
    wanted=$(cksum < "$root/pyproject.toml")
    local works=no
    if "$venv/bin/python" -c '' 2>/dev/null; then
        works=yes
    fi
    if [ $works = yes ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    if [ $works = no ]; then
        local python
        python=$(find_python)
        say "making .venv with $("$python" --version)"
        rm -f -- "$venv"/.installed-*
        "$python" -m venv --clear "$venv" || fail "could not make $venv (on Debian and Ubuntu: apt install python3-venv)."
    fi
    say "installing neon_rnn[$extra] into .venv (once; torch is large)"
    (cd "$root" && "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extra]") \
        || fail 'the installation failed; what pip printed above says why. Run the command again to go on.'
    printf '%s\n' "$wanted" > "$stamp"
}

# Whether the arguments ask for the neon engine.
wants_neon() {
    local previous='' argument
    for argument in "$@"; do
        case "$previous $argument" in
            *' --engine=neon' | '--engine neon') return 0 ;;
        esac
        previous=$argument
    done
    return 1
}

# Whether .venv holds neon (somebody may have put it there).
has_neon() { [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import neon' 2>/dev/null; }

case "${1:-}" in
    test)
        shift
        ensure torch
        ensure test
        cd "$root"
        # Some library gives pytest's thread the locale C. -X utf8 decodes without a locale, and is
        # not handed on to the programs under test.
        exec "$venv/bin/python" -X utf8 -m pytest "$@"
        ;;
    check)
        ensure torch
        ensure test
        cd "$root"
        exec .ci/check "$venv/bin"
        ;;
    docs)
        [ $# = 1 ] || fail 'docs takes no arguments.'
        ensure docs
        exec "$venv/bin/python" "$root/docs/site/make_site.py"
        ;;
    bench)
        shift
        ensure torch
        export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" NEON_RNN_HOME="$root"
        exec "$venv/bin/python" -c 'import sys; sys.path[:] = filter(None, sys.path); from benchmarks.__main__ import program; sys.exit(program())' "$@"
        ;;
    neon)
        shift
        exec "$root/docker/neon-python.sh" "$@"
        ;;
esac

# Engine neon on a host without neon: into the container (demo and reproduce do so by themselves, for the steps that train).
if [[ ${1:--} != -* && $1 != demo && $1 != reproduce ]] && wants_neon "$@" && ! has_neon; then
    exec "$root/docker/run-in-compose.sh" "$@"
fi

ensure torch
[ "${1:-}" != serve ] || ensure serve
# Without a command (options alone count as none): the main job.
case "${1:-}" in
    -h | --help | --version) ;;
    '' | -*) set -- demo "$@" ;;
esac
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" NEON_RNN_HOME="$root"
# Not -m neon_rnn: Python would search the working directory first.
exec "$venv/bin/python" -c 'import sys; sys.path[:] = filter(None, sys.path); from neon_rnn.cli import program; sys.exit(program())' "$@"
