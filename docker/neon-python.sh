#!/usr/bin/env bash
# neon-python.sh [FOLDER]: make a Python with Intel neon 2.6.0 outside the container, for the live parity tests.
#
# FOLDER (default: .neon in this repository) becomes a virtual environment of CPython 3.6 or 3.5. PYTHON names that Python;
# otherwise the first one found on PATH or among pyenv's versions is taken. The steps and pins are those of the Dockerfile's
# stage neon-build. NEON_REPOSITORY names another copy of neon's git repository; its commit is checked. A second call on a
# finished folder only prints the closing line.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
pins=("$root/docker/requirements-tools.txt" "$root/requirements.txt")

say() { printf '== %s\n' "$*" >&2; }
fail() { printf 'neon: error: %s\n' "$*" >&2; exit 2; }

# Print the default that the Dockerfile gives to a build argument.
default_of() { sed -n "s/^ARG $1=//p" "$root/Dockerfile"; }

is_right_python() {
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 5), (3, 6)))' 2>/dev/null
}

# Print the Python to build from.
find_base() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        is_right_python "$PYTHON" || fail "PYTHON=$PYTHON is not a CPython 3.5 or 3.6, which neon's pinned packages are built for."
        printf '%s\n' "$PYTHON"
        return
    fi
    for candidate in python3.6 python3.5 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.[65].*/bin/python; do
        if is_right_python "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "no CPython 3.6 or 3.5 found. Install one ('pyenv install 3.6.15'), or name it: PYTHON=/path/to/python3.6 ./run.sh neon"
}

# Make the virtual environment $folder; its last file is $stamp, which says from what it was made.
build() {
    local base=$1 tool source file index
    for tool in git make gcc; do
        command -v "$tool" >/dev/null || fail "$tool is not installed (on Debian and Ubuntu: apt install git make gcc libc6-dev)."
    done
    say "making $folder with $("$base" --version 2>&1)"
    rm -rf -- "$folder"
    mkdir -p -- "$folder"
    echo unfinished > "$stamp"
    source=$folder/source
    "$root/docker/fetch-neon.sh" "$source"
    "$base" -m venv "$folder" || fail "$base could not make $folder (on Debian and Ubuntu: apt install the package of its venv)."
    say 'installing the pinned packages (once; MKL is large)'
    for file in "${pins[@]}"; do
        # CPython 3.5 may come with pip 9, whose own index has moved; the first file replaces it.
        case $("$python" -m pip --version) in
            'pip 9.'*) index=(--index-url "${PIP_INDEX_URL:-https://pypi.org/simple}") ;;
            *) index=() ;;
        esac
        "$python" -m pip install "${index[@]}" --quiet --disable-pip-version-check --no-deps --require-hashes -r "$file" \
            || fail 'the packages could not be installed; what pip printed above says why.'
    done
    say 'building neon with MKL'
    # CFLAGS replaces neon's own -march=native and -lmklml_gnu; MKL is looked for in $folder at run time too.
    make --silent -C "$source/neon/backends/mklEngine" MKLROOT="$folder" CC=gcc \
        CFLAGS="-fopenmp -lmkl_rt -fPIC -march=$NEON_MARCH -liomp5" >&2 || fail "neon's MKL engine could not be compiled."
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation "$source" \
        || fail 'neon could not be installed; what pip printed above says why.'
    rm -rf -- "$source"
    (cd / && NEON_CACHE_DIR=$folder/cache "$python" -c 'from neon.backends import gen_backend; gen_backend("mkl")') \
        || fail 'neon was built, but its mkl backend does not start.'
}

case "${1:-}" in
    -*) fail "the one argument is a folder, not '$1'." ;;
esac
[ $# -le 1 ] || fail "the one argument is a folder; there are $#."
folder=$(readlink -m -- "${1:-$root/.neon}")
python=$folder/bin/python
stamp=$folder/made-by-neon_rnn
for argument in NEON_REPOSITORY NEON_COMMIT NEON_MARCH; do
    export "$argument=${!argument:-$(default_of "$argument")}"
done
base=$(find_base)
if [ -e "$folder" ] && [ ! -e "$stamp" ] && [ -n "$(ls -A -- "$folder")" ]; then
    fail "$folder exists and was not made by this command. Name another folder, or remove it."
fi
wanted="$("$base" --version 2>&1) neon $NEON_COMMIT $NEON_MARCH $(cat "${pins[@]}" "$root/docker/neon-python.sh" | cksum)"
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    build "$base"
    printf '%s\n' "$wanted" > "$stamp"
fi
printf 'NEON_PYTHON=%s ./run.sh test tests/parity -k live\n' "$python"
