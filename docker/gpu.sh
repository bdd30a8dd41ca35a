# gpu.sh: which CUDA a GPU and its driver take. Functions for other scripts (POSIX sh); it runs nothing by itself.
#
#   CUDA   GPUs (compute capability)             driver
#   8.0    Kepler, Maxwell, Pascal (3.0 to 6.2)  375.26 or newer
#   11.3   Kepler from 3.5 on, and all later     465.19.01 or newer
# shellcheck shell=sh

# Ask for the first GPU. Sets gpu_name, gpu_driver, gpu_capability; the last is empty where the driver does not tell (before
# 510). Returns 1 where nvidia-smi finds no GPU.
ask_for_gpu() {
    gpu_capability='' gpu_name='' gpu_driver=''
    gpu_answer=$(nvidia-smi --query-gpu=compute_cap,driver_version,name --format=csv,noheader 2>/dev/null) || gpu_answer=
    case $gpu_answer in
        [0-9]*.[0-9]*,*)
            gpu_capability=$(echo "$gpu_answer" | sed -n '1s/,.*//p')
            gpu_answer=$(echo "$gpu_answer" | sed -n '1s/^[^,]*, *//p')
            ;;
        *)
            gpu_answer=$(nvidia-smi --query-gpu=driver_version,name --format=csv,noheader 2>/dev/null) || return 1
            ;;
    esac
    gpu_driver=$(echo "$gpu_answer" | sed -n '1s/,.*//p')
    gpu_name=$(echo "$gpu_answer" | sed -n '1s/^[^,]*, *//p')
    [ -n "$gpu_name" ]
}

# Print the compute capability as a number: 8.6 -> 806.
gpu_number() { echo "$gpu_capability" | awk -F. '{ print 100 * $1 + $2 }'; }

# Print the CUDA for the GPU: 8.0 as published before Volta, 11.3 from Volta on. Returns 1 where that cannot be told.
cuda_for_gpu() {
    if [ -n "$gpu_capability" ]; then
        if [ "$(gpu_number)" -lt 700 ]; then echo 8.0; else echo 11.3; fi
        return
    fi
    # Before driver 510: by the name. The generations after Ampere need a newer driver than that.
    case $gpu_name in
        *V100* | *'TITAN V'* | *T4* | *'TITAN RTX'* | *RTX* | *'GTX 16'* | *'CMP '* | *A100* | *A10* | *A16* | *A30* | *A40* | *' A2') echo 11.3 ;;
        *Tesla\ [KMP][0-9]* | *Quadro\ [KMP][0-9]* | *Quadro\ GP100* | *GTX* | *'GT '* | *TITAN* | *GeForce\ [0-9M]* | *GRID*) echo 8.0 ;;
        *) return 1 ;;
    esac
}

# Print the oldest driver for a CUDA.
driver_for() { if [ "$1" = 8.0 ]; then echo 375.26; else echo 465.19.01; fi; }

# older_than VERSION VERSION
older_than() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# why_cuda_does_not_fit CUDA: print what to do where the GPU or its driver cannot run it; print nothing where they can.
why_cuda_does_not_fit() {
    fits_number=$([ -z "$gpu_capability" ] || gpu_number)
    fits_other=$(cuda_for_gpu) || fits_other=$1
    if [ -n "$fits_number" ] && [ "$fits_number" -lt 300 ]; then
        echo "this GPU ($gpu_name, compute capability $gpu_capability) is too old: neon needs 3.0, a Kepler. Add '--backend cpu'."
    elif [ "$1" = 8.0 ] && [ "$fits_other" = 11.3 ]; then
        echo "CUDA 8.0 cannot compile for this GPU ($gpu_name${gpu_capability:+, compute capability $gpu_capability})." \
             "Put CUDA=11.3 before the command; ./run.sh without CUDA= chooses by itself."
    elif [ "$1" != 8.0 ] && [ -n "$fits_number" ] && [ "$fits_number" -lt 305 ]; then
        echo "CUDA $1 no longer compiles for this GPU ($gpu_name, compute capability $gpu_capability)." \
             "Put CUDA=8.0 before the command; ./run.sh without CUDA= chooses by itself."
    elif older_than "$gpu_driver" "$(driver_for "$1")"; then
        echo "the driver $gpu_driver of this GPU ($gpu_name) is too old for CUDA $1, which needs $(driver_for "$1") or newer." \
             "Install a newer driver$([ "$1" = 8.0 ] || [ "$fits_other" != 8.0 ] || echo ', or put CUDA=8.0 before the command')."
    fi
}
