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
exec python -m neon_rnn "$@"
