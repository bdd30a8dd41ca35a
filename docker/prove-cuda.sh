#!/bin/sh
# Prove what neon's gpu backend needs at run time and what can be tried without a GPU: the compilers for the generations
# that both CUDA 8 and neon know (Kepler, Maxwell, Pascal), the assembler, the libraries, and that pycuda loads.
set -eu
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
echo '#include <curand_kernel.h>
__global__ void scale(float *x, float a) { x[threadIdx.x] *= a; }' > "$work/scale.cu"
for architecture in sm_35 sm_52 sm_61; do
    nvcc -arch="$architecture" -cubin -o "$work/scale.$architecture.cubin" "$work/scale.cu"
done
maxas=$(python -c 'import neon.backends, os; print(os.path.dirname(neon.backends.__file__))')/kernels/maxas
test -x "$maxas/maxas.pl"
PERL5LIB=$maxas perl -c "$maxas/maxas.pl"
# The driver's library comes from the host; for this one import the linker's stub stands in.
ln -s /usr/local/cuda/lib64/stubs/libcuda.so "$work/libcuda.so.1"
LD_LIBRARY_PATH=$work python -c 'import ctypes, pycuda.driver; ctypes.CDLL("libcublas.so"); ctypes.CDLL("libcudart.so")'
echo 'CUDA 8.0: kernels compile for sm_35, sm_52 and sm_61; pycuda loads'
