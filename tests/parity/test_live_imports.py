"""neon's own Python imports every module of .ci/python35.txt, in the listed order and backwards."""

import json

import pytest
from live_neon import ROOT, printed

PROGRAM = """
import importlib, json, sys, traceback
problems = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception:
        problems[name] = traceback.format_exc()
torch = 'torch' in sys.modules
print(json.dumps({'version': sys.version_info[:2], 'problems': problems, 'torch': torch}))
"""


def modules():
    """Return the dotted names of the files that .ci/python35.txt lists, folders taken whole."""
    found = []
    for line in (ROOT / '.ci' / 'python35.txt').read_text().split():
        paths = sorted(ROOT.glob(line))
        assert paths, line
        for path in paths:
            for file in sorted(path.rglob('*.py')) if path.is_dir() else [path]:
                parts = file.relative_to(ROOT).with_suffix('').parts
                found.append('.'.join(parts[:-1] if parts[-1] == '__init__' else parts))
    return found


@pytest.mark.parametrize('order', [1, -1], ids=['as listed', 'backwards'])
def test_every_module_of_the_container_is_imported(python, order):
    names = modules()[::order]
    assert {
        'neon_rnn.engines.neon.spatial_rnn',
        'neon_rnn.commands.train',
        'neon_rnn.models.rnn',
    } <= set(names)
    found = json.loads(printed(python, '-c', PROGRAM, *names, timeout=120).splitlines()[-1])
    assert found['version'] in ([3, 5], [3, 6])
    assert found['problems'] == {}
    assert not found['torch']
