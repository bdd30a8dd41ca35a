#!/bin/sh
# install-cuda.sh FOLDER: install CUDA from NVIDIA's repository: the packages of FOLDER/cuda-$CUDA.txt, or $CUDA_PACKAGES.
set -eu
file=$1/cuda-$CUDA.txt
if [ -z "$CUDA_PACKAGES" ]; then
    [ -e "$file" ] || {
        echo "install-cuda: CUDA is 8.0 (Kepler to Pascal) or 11.3 (Volta and later), not '$CUDA'." >&2
        exit 2
    }
    CUDA_PACKAGES=$(sed 's/#.*//' "$file")
fi
add-cuda-repository.sh
# shellcheck disable=SC2086  # a list
apt-install $CUDA_PACKAGES
ln -sfn "cuda-$CUDA" /usr/local/cuda
echo /usr/local/cuda/lib64 > /etc/ld.so.conf.d/cuda.conf
ldconfig
