#!/bin/sh
# Prove what neon's gpu backend needs at run time and what can be tried without a GPU: the compilers for the generations
# that this CUDA is for, the assembler, the libraries, and that pycuda and scikit-cuda load.
set -eu
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
echo '#include <curand_kernel.h>
__global__ void scale(float *x, float a) { x[threadIdx.x] *= a; }' > "$work/scale.cu"
case $NEON_RNN_CUDA in
    8.0) architectures='sm_35 sm_52 sm_61' ;;
    *) architectures='sm_70 sm_75 sm_80 sm_86' ;;
esac
for architecture in $architectures; do
    nvcc -arch="$architecture" -cubin -o "$work/scale.$architecture.cubin" "$work/scale.cu"
done
if [ "$NEON_RNN_CUDA" != 8.0 ]; then
    # What later GPUs run: the engine asks nvcc for its list (present_cuda.py).
    nvcc --list-gpu-arch | grep -q compute_86
    nvcc -arch=compute_86 -ptx -o "$work/scale.ptx" "$work/scale.cu"
fi
maxas=$(python -c 'import neon.backends, os; print(os.path.dirname(neon.backends.__file__))')/kernels/maxas
test -x "$maxas/maxas.pl"
PERL5LIB=$maxas perl -c "$maxas/maxas.pl"
# The driver's library comes from the host; for this one import the linker's stub stands in.
ln -s /usr/local/cuda/lib64/stubs/libcuda.so "$work/libcuda.so.1"
ln -s /usr/local/cuda/lib64/stubs/libcuda.so "$work/libcuda.so"
# neon itself is not imported: it would start the stub.
LD_LIBRARY_PATH=$work python -c '
import importlib.util
import neon_rnn
import pycuda.driver
path = neon_rnn.__path__[0] + "/engines/neon/present_cuda.py"
spec = importlib.util.spec_from_file_location("present_cuda", path)
present_cuda = importlib.util.module_from_spec(spec)
spec.loader.exec_module(present_cuda)
present_cuda.name_cublas()
from scikits.cuda import cublas
print("cuBLAS", cublas._cublas_version)'
echo "CUDA $NEON_RNN_CUDA: kernels compile for $architectures; pycuda and scikit-cuda load"
