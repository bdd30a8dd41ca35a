#!/bin/sh
# apt-install.sh PACKAGE...: install without recommended packages and leave no package lists in the layer.
# APT_MIRROR, where it is set, takes the place of "http://host" in every source of the base image.
set -eu
if [ -n "${APT_MIRROR:-}" ]; then
    find /etc/apt \( -name '*.list' -o -name '*.sources' \) -exec sed -i -E "s#https?://[^/ ]+#${APT_MIRROR%/}#" {} +
fi
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
rm -rf /var/lib/apt/lists/*
