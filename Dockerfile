# The images of this project (docs/container.md):
#
#   torch      the PyTorch engine, on a CPU or (TORCH_BACKEND=gpu) a GPU; data, tables, reports and tests
#   neon-cpu   Intel neon 2.6.0 with its mkl and cpu backends, on Ubuntu 16.04 and Python 3.5
#   neon-gpu   the same with CUDA 8.0: the published environment; what `docker build .` makes. CUDA=11.3: for Volta and later
#
# Every source is a build argument with the real default. Base images are pinned by digest, neon by commit, packages by
# hash, CUDA by its key and version (docker/cuda-*.txt). The file needs no BuildKit; the builder without it builds every stage above the target.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b
ARG UBUNTU_IMAGE=ubuntu:16.04@sha256:1f1a2d56de1d604801a9671f301190704c25d604a416f59e03c04f5c6ffee0d6


# The scripts that the stages share. With NVIDIA_DRIVER=required, which docker-compose.yml says for the GPU images, the build
# ends here where the machine could not run them.
FROM ${PYTHON_IMAGE} AS scripts
ARG NVIDIA_DRIVER=optional
ARG CUDA=8.0
COPY docker/*.sh /scripts/
RUN /scripts/require-nvidia-driver.sh


FROM ${PYTHON_IMAGE} AS torch
# Empty: the sources of the base image, pip's own index.
ARG APT_MIRROR=
ARG PIP_INDEX_URL=
# Where PyTorch's build without CUDA is; used by TORCH_BACKEND=cpu only.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
ARG TORCH_BACKEND=cpu

COPY --from=scripts /scripts/apt-install.sh /usr/local/sbin/apt-install
# git: a run record names the commit of the mounted checkout.
RUN apt-install git

COPY docker/requirements-torch*.txt /tmp/requirements/
RUN case "${TORCH_BACKEND}" in \
        cpu) export PIP_EXTRA_INDEX_URL="${TORCH_INDEX_URL}" ;; \
        gpu) ;; \
        *) echo "TORCH_BACKEND is cpu or gpu, not '${TORCH_BACKEND}'" >&2; exit 2 ;; \
    esac \
    && python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --only-binary=:all: --require-hashes \
        -r "/tmp/requirements/requirements-torch-${TORCH_BACKEND}.txt"

ENV PATH=/opt/venv/bin:${PATH} \
    PYTHONPATH=/app \
    HOME=/var/cache/neon_rnn \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /app
COPY docker/neon_rnn.sh /usr/local/bin/neon_rnn
COPY docker/prove.py /usr/local/share/neon_rnn/prove.py
COPY neon_rnn neon_rnn
# Any user may run the image: compose starts it as the caller.
RUN mkdir -m 1777 "${HOME}"
ARG NEON_RNN_UID=1000
ARG NEON_RNN_GID=1000
USER ${NEON_RNN_UID}:${NEON_RNN_GID}
# The image proves itself before it exists: numbers, and a training step of the published network.
RUN python /usr/local/share/neon_rnn/prove.py torch cpu
LABEL org.opencontainers.image.title="neon_rnn, engine torch" \
      org.opencontainers.image.description="Gender from a photograph with a recurrent network, on PyTorch"
ENTRYPOINT ["neon_rnn"]
CMD ["doctor"]


FROM ${UBUNTU_IMAGE} AS neon-base
ARG APT_MIRROR=
# What brings /usr/bin/python3.5; empty for a base image that has it.
ARG PYTHON_PACKAGES=python3.5
COPY --from=scripts /scripts/apt-install.sh /usr/local/sbin/apt-install
# hadolint ignore=SC2086  # may be empty
RUN apt-install ca-certificates git ${PYTHON_PACKAGES}


# Ubuntu 16.04's pip 8 asks an index that has moved and chooses packages for other Pythons: a present-day pip fetches its
# successor for CPython 3.5.
FROM ${PYTHON_IMAGE} AS pip-for-python3.5
ARG PIP_INDEX_URL=
COPY docker/requirements-tools.txt /tmp/
RUN python3 -m venv /tmp/venv \
    && /tmp/venv/bin/pip download --no-cache-dir --no-deps --require-hashes --dest /wheels -r /tmp/requirements-tools.txt


FROM neon-base AS neon-build
ARG PIP_INDEX_URL=
ARG NEON_REPOSITORY=https://github.com/NervanaSystems/neon.git
# v2.6.0 of 2018-01-05; another one needs ALLOW_OTHER_NEON_COMMIT=yes.
ARG NEON_COMMIT=f9d771bbb5f5fa3ae129748596d0ced5389c7f88
ARG ALLOW_OTHER_NEON_COMMIT=no
# neon's own makefile says -march=native, and the image would die on an older processor than the one that built it.
# MKL chooses its code by processor at run time whatever stands here.
ARG NEON_MARCH=x86-64

COPY docker/fetch-neon.sh /usr/local/bin/fetch-neon
RUN fetch-neon /tmp/neon && apt-install gcc libc6-dev make
COPY --from=pip-for-python3.5 /wheels /tmp/wheels
COPY requirements.txt /tmp/
# A wheel of pip runs as it is, and so installs itself.
RUN python3.5 -m venv --without-pip /opt/venv \
    && PYTHONPATH="$(echo /tmp/wheels/pip-*.whl)" /opt/venv/bin/python -m pip install --no-index /tmp/wheels/*.whl \
    && /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements.txt
# The mkl wheels put headers and libraries into the virtual environment, which so is MKL's root; the engine looks for MKL
# there at run time too. CFLAGS replaces neon's -march=native and -lmklml_gnu. --no-deps: neon lists what it needs to be
# developed (pylint, sphinx, pandoc). It takes the engine along only if that is built before.
RUN make -C /tmp/neon/neon/backends/mklEngine MKLROOT=/opt/venv CC=gcc \
        CFLAGS="-fopenmp -lmkl_rt -fPIC -march=${NEON_MARCH} -liomp5" \
    && /opt/venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation /tmp/neon


FROM neon-base AS neon-cpu
COPY --from=neon-build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:${PATH} \
    PYTHONPATH=/app \
    HOME=/var/cache/neon_rnn \
    NEON_CACHE_DIR=/var/cache/neon_rnn/neon \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
COPY docker/neon_rnn.sh /usr/local/bin/neon_rnn
COPY docker/prove.py /usr/local/share/neon_rnn/prove.py
COPY neon_rnn neon_rnn
RUN mkdir -m 1777 "${HOME}"
ARG NEON_RNN_UID=1000
ARG NEON_RNN_GID=1000
USER ${NEON_RNN_UID}:${NEON_RNN_GID}
RUN python /usr/local/share/neon_rnn/prove.py neon mkl && rm -rf "${NEON_CACHE_DIR}"
LABEL org.opencontainers.image.title="neon_rnn, engine neon, CPU" \
      org.opencontainers.image.description="Gender from a photograph with a recurrent network, on Intel neon 2.6.0 with MKL"
ENTRYPOINT ["neon_rnn"]
CMD ["doctor"]


# neon compiles its kernels on the machine that runs them: nvcc, ptxas, g++, perl, the headers and the unversioned
# libraries stay in the image.
FROM neon-cpu AS cuda
# neon-gpu, below, goes back to the ordinary user.
# hadolint ignore=DL3002
USER 0:0
ARG CUDA_REPOSITORY=https://developer.download.nvidia.com/compute/cuda/repos/ubuntu1604/x86_64
ARG CUDA_KEY=3bf863cc.pub
ARG CUDA_KEY_FINGERPRINT=EB693B3035CD5710E231E123A4B469963BF863CC
# 8.0 as published, or 11.3 for the GPUs after Pascal.
ARG CUDA=8.0
# Empty: those of docker/cuda-${CUDA}.txt; else their names and versions.
ARG CUDA_PACKAGES=
COPY docker/cuda-*.txt /tmp/cuda/
COPY docker/add-cuda-repository.sh docker/install-cuda.sh /usr/local/sbin/
RUN apt-install apt-transport-https binutils curl g++ gnupg perl \
    && install-cuda.sh /tmp/cuda
# The stubs are for the linker only: in LD_LIBRARY_PATH they would hide the driver's libcuda.
ENV PATH=/usr/local/cuda/bin:${PATH} \
    LIBRARY_PATH=/usr/local/cuda/lib64/stubs \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NEON_RNN_CUDA=${CUDA}


FROM cuda AS pycuda
ARG PIP_INDEX_URL=
ARG PYTHON_HEADERS=python3.5-dev
# hadolint ignore=SC2086  # may be empty
RUN apt-install ${PYTHON_HEADERS}
COPY docker/requirements-gpu.txt /tmp/requirements/
RUN pip wheel --no-cache-dir --no-deps --require-hashes --wheel-dir /wheels -r /tmp/requirements/requirements-gpu.txt


FROM cuda AS neon-gpu
COPY --from=pycuda /wheels /tmp/wheels
RUN pip install --no-cache-dir --no-deps --no-index /tmp/wheels/*.whl
COPY docker/prove-cuda.sh docker/gpu.sh /usr/local/share/neon_rnn/
ARG NEON_RNN_UID=1000
ARG NEON_RNN_GID=1000
USER ${NEON_RNN_UID}:${NEON_RNN_GID}
# There is no GPU while an image is built: the compilers are tried for each generation of GPU, and the CPU once more.
RUN /usr/local/share/neon_rnn/prove-cuda.sh \
    && python /usr/local/share/neon_rnn/prove.py neon mkl && rm -rf "${NEON_CACHE_DIR}"
LABEL org.opencontainers.image.title="neon_rnn, engine neon, GPU" \
      org.opencontainers.image.description="Gender from a photograph with a recurrent network, on Intel neon 2.6.0 with CUDA"
