#!/usr/bin/env bash
# run-in-compose.sh COMMAND ARGUMENT...: run a command of neon_rnn with the neon engine in its container, as the calling user.
#
# run.sh hands over to this where --engine neon is asked for and neon is not installed. The backend is the one on the command
# line, else BACKEND, else gpu as published. For gpu, CUDA in the environment names the CUDA of the image; without it the GPU
# decides (gpu.sh). Files and folders outside the repository are mounted where they are on the host,
# read-only but for what follows --out, --json or --png.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

fail() {
    printf 'run.sh: error: %s\n' "$*" >&2
    exit 2
}

# Print the backend named last on the command line, else $BACKEND, else gpu.
asked_backend() {
    local backend=${BACKEND:-gpu} previous='' argument
    for argument in "$@"; do
        case $argument in
            --backend=*) backend=${argument#--backend=} ;;
            -b?*) backend=${argument#-b} ;;
        esac
        case $previous in
            -b | --backend) backend=$argument ;;
        esac
        previous=$argument
    done
    printf '%s\n' "$backend"
}

# Print the compose service that brings a backend; the neon-gpu image would bring them all, but needs a GPU to start.
service_suffix() {
    case $1 in
        gpu) echo gpu ;;
        cpu | mkl | numpy) echo cpu ;;
        *) fail "there is no backend '$1' (BACKEND or --backend); with engine neon it is gpu, cpu, mkl or numpy." ;;
    esac
}

# Set `compose` to the command that runs Compose; fail with what to do instead where there is no working Docker.
find_compose() {
    local instead="Or train with '--engine torch': the same network and arithmetic on any machine (docs/container.md)." answer
    command -v docker >/dev/null || fail "Intel neon runs in a container, and this host has no Docker." \
        "Install Docker Engine with the Compose plugin. $instead"
    answer=$(docker info --format '{{.ServerVersion}}' 2>&1) ||
        fail "Docker is installed, but its engine does not answer ($(tail -n 1 <<< "$answer")). Start it. $instead"
    if docker compose version >/dev/null 2>&1; then
        compose=(docker compose)
    elif command -v docker-compose >/dev/null; then
        compose=(docker-compose)
    else
        fail "Docker has no Compose here. Install the Compose plugin (or docker-compose 1.29). $instead"
    fi
}

# Fail where Docker cannot hand a GPU to a container; it would say so itself only after an hour of building the image.
check_gpu() {
    docker info --format '{{json .Runtimes}}' | grep -q '"nvidia"' && return
    command -v nvidia-container-runtime-hook >/dev/null && return
    fail "the backend is gpu, but this Docker has no NVIDIA runtime. Install the NVIDIA Container Toolkit and a driver" \
        "(docs/container.md says which GPUs), or add '--backend cpu' (Intel neon with MKL on the processor)."
}

# Choose the CUDA of the image by the GPU, unless CUDA says which; fail where GPU, driver and CUDA do not fit.
choose_cuda() {
    local problem
    # shellcheck source=docker/gpu.sh
    . "$root/docker/gpu.sh"
    case ${CUDA:-} in
        '' | 8.0 | 11.3) ;;
        *) fail "CUDA is 8.0 (Kepler to Pascal) or 11.3 (Volta and later), not '$CUDA'." ;;
    esac
    if ! ask_for_gpu; then
        # Docker may have a GPU that this host's PATH does not show; the container looks again.
        export CUDA=${CUDA:-8.0}
        return
    fi
    if [ -z "${CUDA:-}" ]; then
        CUDA=$(cuda_for_gpu) || fail "which CUDA '$gpu_name' needs is not known here: its driver, $gpu_driver, does not tell." \
            "Put CUDA=8.0 (Kepler to Pascal) or CUDA=11.3 (Volta and later) before the command, or install driver 510 or newer."
    fi
    problem=$(why_cuda_does_not_fit "$CUDA")
    [ -z "$problem" ] || fail "$problem"
    export CUDA
    printf '== CUDA %s for %s, driver %s\n' "$CUDA" "$gpu_name" "$gpu_driver" >&2
}

# The user to run as: the caller; under rootless Docker the container's root is the caller.
set_user() {
    if docker info --format '{{json .SecurityOptions}}' | grep -q 'name=rootless'; then
        export NEON_RNN_UID=0 NEON_RNN_GID=0
    else
        NEON_RNN_UID=$(id -u) NEON_RNN_GID=$(id -g)
        export NEON_RNN_UID NEON_RNN_GID
    fi
}

# Translate one path of the host to that in the container, and add a mount to `mounts` where it is not in the repository.
# translate PATH WRITABLE: sets `translated`.
translate() {
    local path
    path=$(readlink -m -- "$1")
    case $path in
        "$root") translated=. ;;
        "$root"/*) translated=${path#"$root"/} ;;
        *)
            translated=$path
            if [ "$2" = no ]; then
                mounts+=(--volume "$path:$path:ro")
                return
            fi
            [ -d "$path" ] || path=$(dirname -- "$path")
            mounts+=(--volume "$path:$path")
            ;;
    esac
}

# Set `arguments` to the command line with the container's paths. A word is a path if it follows an option that writes, or
# exists and is a file or has a slash.
translate_arguments() {
    local word option='' previous=''
    for word in "$@"; do
        if [[ $word == --*=* ]]; then
            option=${word%%=*}= previous=${word%%=*} word=${word#*=}
        fi
        case $previous in
            --out | --json | --png)
                if [ "$word" != - ]; then
                    translate "$word" yes
                    word=$translated
                fi
                ;;
            *)
                if [ -f "$word" ] || { [[ $word == */* ]] && [ -e "$word" ]; }; then
                    translate "$word" no
                    word=$translated
                fi
                ;;
        esac
        arguments+=("$option$word")
        option='' previous=$word
    done
}

[ $# -gt 0 ] || fail 'no command to run in the container.'
command=$1
shift
suffix=$(service_suffix "$(asked_backend "$@")")
find_compose
if [ "$suffix" = gpu ]; then
    check_gpu
    choose_cuda
fi
set_user
for folder in data results; do
    [ -d "$root/$folder" ] || fail "$root/$folder does not exist. Make it, or restore it with 'git checkout -- $folder'."
done

mounts=() arguments=()
translate_arguments "$@"
terminal=()
[ -t 0 ] && [ -t 1 ] || terminal=(-T)
case $command in
    train | evaluate | predict) service=("$command") ;;
    *) service=("neon-$suffix" "$command") ;;
esac
export ENGINE=neon BACKEND=$suffix
cd -- "$root"
exec "${compose[@]}" run --rm "${terminal[@]}" "${mounts[@]}" "${service[@]}" "${arguments[@]}"
