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
    fail "$1" "$folder/ cannot be written: it belongs to user $(stat -c %u:%g "/app/$folder"), this container runs as $(id -u):$(id -g), \
or it is mounted read-only. Run './run.sh', which starts the container as you, or put NEON_RNN_UID=$(stat -c %u "/app/$folder") \
and NEON_RNN_GID=$(stat -c %g "/app/$folder") into the environment or the file .env."
fi
exec python -m neon_rnn "$@"
