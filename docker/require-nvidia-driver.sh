#!/bin/sh
# require-nvidia-driver.sh [FILE]: with NVIDIA_DRIVER=required, fail unless this machine has an NVIDIA driver (FILE is its mark).
#
# A service that asks for a GPU cannot start without one, whatever the command line of the container says: Compose reads that
# as little as the host. So the build of its image is where to say so, before the long part, and where to say that the driver
# is too old for CUDA. NVIDIA_DRIVER=optional builds for another machine.
set -eu
mark=${1:-/proc/driver/nvidia/version}
case $NVIDIA_DRIVER in
    optional) exit 0 ;;
    required) ;;
    *)
        echo "require-nvidia-driver: NVIDIA_DRIVER is required or optional, not '$NVIDIA_DRIVER'." >&2
        exit 2
        ;;
esac
# Containers see the host's driver in /proc; under WSL, where Windows holds it, nothing there tells.
case $(uname -r) in
    *[Mm]icrosoft*) exit 0 ;;
esac
if [ -e "$mark" ]; then
    # shellcheck source=docker/gpu.sh
    . "$(dirname -- "$0")/gpu.sh"
    version=$(grep -oE ' [0-9]{3,}\.[0-9.]+' "$mark" | head -n 1 | tr -d ' ')
    oldest=$(driver_for "${CUDA:-8.0}")
    if [ -z "$version" ] || ! older_than "$version" "$oldest"; then
        exit 0
    fi
    echo "The NVIDIA driver $version is too old for CUDA ${CUDA:-8.0}, which needs $oldest or newer: install a newer one." >&2
    exit 2
fi
cat >&2 << END
This machine has no NVIDIA driver ($mark), and this is an image for GPUs.

  To compute on the processor, say BACKEND=cpu in the environment, or once in the file .env beside docker-compose.yml:
      BACKEND=cpu docker compose run --rm train ...
  The flag '--backend cpu' alone cannot do it (Compose chooses image and GPU before it is read) except through run.sh:
      ./run.sh train --engine neon --backend cpu ...
  To build the image for another machine: NVIDIA_DRIVER=optional docker compose build train
END
exit 2
