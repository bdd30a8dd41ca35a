#!/bin/sh
# add-cuda-repository.sh: let apt use NVIDIA's CUDA_REPOSITORY, if its key has the fingerprint CUDA_KEY_FINGERPRINT.
# NVIDIA changed the key in April 2022; the one in the instructions and images of 2018 is revoked.
set -eu
key=$(mktemp)
curl --fail --silent --show-error --location --output "$key" "$CUDA_REPOSITORY/$CUDA_KEY" || {
    echo "add-cuda-repository: $CUDA_REPOSITORY/$CUDA_KEY cannot be fetched;" \
         "docs/container.md, 'When a source has vanished', names other sources of CUDA." >&2
    exit 1
}
fingerprints=$(gpg --with-colons --with-fingerprint "$key" | awk -F: '$1 == "fpr" { print $10 }')
[ "$fingerprints" = "$CUDA_KEY_FINGERPRINT" ] || {
    echo "add-cuda-repository: $CUDA_REPOSITORY/$CUDA_KEY has the fingerprint '$fingerprints'," \
         "not CUDA_KEY_FINGERPRINT=$CUDA_KEY_FINGERPRINT." >&2
    exit 1
}
apt-key add "$key"
rm "$key"
echo "deb $CUDA_REPOSITORY /" > /etc/apt/sources.list.d/cuda.list
