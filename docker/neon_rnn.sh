#!/bin/sh
# neon_rnn COMMAND ...: the entry point of the images. Says early what only the caller of docker can mend, then runs the command.
set -eu
fail() {
    echo "neon_rnn $1: error: $2" >&2
    exit 2
}
case "${1:-}" in
    train | evaluate | predict | table | reproduce) folder=results ;;
    data) folder=data ;;
    *) folder= ;;
esac
if [ -n "$folder" ] && [ ! -w "/app/$folder" ]; then
    owner=$(stat -c %u:%g "/app/$folder")
    if [ "${owner%:*}" = "$(id -u)" ]; then
        fail "$1" "$folder/ cannot be written: it is read-only, on the host (chmod u+w $folder) or as it is mounted."
    fi
    fail "$1" "$folder/ cannot be written: it belongs to user $owner, this container runs as $(id -u):$(id -g). \
Run './run.sh', which starts the container as you, or put NEON_RNN_UID=${owner%:*} and NEON_RNN_GID=${owner#*:} \
into the environment or the file .env."
fi
# The image for GPUs: the GPU, its driver and this CUDA have to fit, before anything long begins.
share=${NEON_RNN_SHARE:-/usr/local/share/neon_rnn}
case "${1:-}" in
    train | evaluate | predict | verify)
        backend=cpu previous=''  # the default of the command line
        for word in "$@"; do
            case $word in
                --backend=*) backend=${word#--backend=} ;;
                -b?*) backend=${word#-b} ;;
            esac
            case $previous in
                -b | --backend) backend=$word ;;
            esac
            previous=$word
        done
        if [ -n "${NEON_RNN_CUDA:-}" ] && [ "$backend" = gpu ]; then
            # shellcheck source=docker/gpu.sh
            . "$share/gpu.sh"
            if ask_for_gpu; then
                problem=$(why_cuda_does_not_fit "$NEON_RNN_CUDA")
                [ -z "$problem" ] || fail "$1" "$problem"
            fi
        fi
        ;;
esac
exec python -m neon_rnn "$@"
