"""NVIDIA's compiler for kernels, NVRTC, from the wheels of PyPI; no GPU is needed.

PYTHONPATH=. python tests/gpu/nvidia_compilers.py FOLDER    compiles every .cu file; a table
"""

import ctypes
import re
import sys
import tempfile
import zipfile
from pathlib import Path

#: pip requirement -> the targets that are compiled with it; 11.8 is the last that knows Kepler.
WHEELS = {
    'nvidia-cuda-nvrtc-cu11==11.8.89': ('sm_35', 'sm_52', 'sm_61'),
    'nvidia-cuda-nvrtc-cu12==12.9.86': (
        'sm_60',
        'sm_70',
        'sm_75',
        'sm_80',
        'sm_86',
        'sm_90',
        'sm_100',
        'sm_120',
    ),
}


class Compiler:
    """NVRTC out of one wheel.

    Parameters
    ----------
    wheel : Path
    folder : Path
        It is unpacked into this folder, which has to stay.
    """

    def __init__(self, wheel: Path, folder: Path):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if '.so' in name:
                    archive.extract(name, folder)
        libraries = sorted(folder.rglob('lib*.so*'))
        builtins = [
            path for path in libraries if 'builtins' in path.name and 'alt' not in path.name
        ]
        self._loaded = [ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL) for path in builtins]
        (main,) = [path for path in libraries if re.fullmatch(r'libnvrtc\.so[.\d]*', path.name)]
        self._nvrtc = ctypes.CDLL(str(main))

    def log_of(self, source: str, target: str) -> str | None:
        """Compile a source; return the compiler's messages, None where it succeeds."""
        program = ctypes.c_void_p()
        # as pycuda hands them over: without C++'s names
        text = 'extern "C" {\n' + source + '\n}\n'
        self._nvrtc.nvrtcCreateProgram(
            ctypes.byref(program), text.encode(), b'kernel.cu', 0, None, None
        )
        options = [
            f'--gpu-architecture={target}'.encode(),
            b'--device-as-default-execution-space',
            b'-w',
        ]
        failed = self._nvrtc.nvrtcCompileProgram(
            program, len(options), (ctypes.c_char_p * len(options))(*options)
        )
        size = ctypes.c_size_t()
        self._nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value + 1)
        self._nvrtc.nvrtcGetProgramLog(program, log)
        self._nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
        return (log.value.decode(errors='replace') or f'error {failed}') if failed else None


def main(folder: Path, wheels: Path) -> int:
    """Compile every source of a folder for every target; return how many failed."""
    failures = 0
    sources = sorted(folder.glob('*.cu'))
    for requirement, targets in WHEELS.items():
        name, version = requirement.split('==')
        (wheel,) = wheels.glob(f'{name.replace("-", "_")}-{version}-*.whl')
        compiler = Compiler(wheel, Path(tempfile.mkdtemp(prefix='nvrtc')))
        for target in targets:
            logs = {path.name: compiler.log_of(path.read_text(), target) for path in sources}
            wrong = {key: log for key, log in logs.items() if log}
            failures += len(wrong)
            print(f'{requirement} {target}: {len(sources) - len(wrong)} of {len(sources)} compile')
            for key, log in list(wrong.items())[:3]:
                print(f'  {key}: {[line for line in log.splitlines() if "error" in line][:2]}')
    return failures


if __name__ == '__main__':
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])) > 0)
