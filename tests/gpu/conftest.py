"""The folders of the stand-in and of the programs that find neon."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE / 'standin', HERE.parent / 'parity'):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
