"""Hold the layers of the package: which folder may import which, and the line of CPython 3.5."""

import ast
import glob
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'neon_rnn'

#: From bottom to top. A folder imports from itself and from those before it, never from later ones.
LAYERS = (
    'support',
    'published',
    'data',
    'engines',
    'models',
    'runs',
    'weights',
    'training',
    'verification',
    'ingest',
    'report',
    'reproduce',
    'export',
    'explain',
    'serve',
    'api',
    'commands',
    'cli',
    '__main__',
)
#: Folders that lie side by side: neither imports the other.
APART = [
    ('ingest', 'report'),
    ('ingest', 'reproduce'),
    ('training', 'verification'),
    ('training', 'report'),
    ('verification', 'report'),
    ('export', 'explain'),
    ('export', 'serve'),
]
#: Within the torch engine. fast/ is used by the model, never by a layer; predicting/ by `predict`.
TORCH_LAYERS = ('ops', 'layers', 'recurrent', 'fast', 'predicting')


def modules():
    """Return name -> file of every module of the package and of the benchmarks."""
    files = [*PACKAGE.rglob('*.py'), *(ROOT / 'benchmarks').rglob('*.py')]
    return {module_name(file): file for file in files}


def module_name(file):
    parts = file.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imports(file, known, inside_functions=True):
    """Return the modules of `known` that a file imports."""
    tree = ast.parse(file.read_text('utf-8'))
    hidden = set()
    if not inside_functions:
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                hidden.update(id(node) for node in ast.walk(function))
    found = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{file}: a relative import'
            for alias in node.names:
                module = f'{node.module}.{alias.name}'
                found.add(module if module in known else node.module)
    return {module for module in found if module in known}


def layer(module):
    parts = module.split('.')
    return parts[1] if len(parts) > 1 else ''


@pytest.fixture(scope='module')
def arrows():
    """Return (importer, imported) for every import of the package."""
    known = modules()
    pairs = [(name, other) for name, file in known.items() for other in imports(file, known)]
    assert len(pairs) > 300, 'the imports were not found'
    return pairs


def test_every_folder_has_its_place():
    found = {layer(name) for name in modules() if name.startswith('neon_rnn.')}
    assert found == set(LAYERS)


def test_no_import_goes_up(arrows):
    wrong = [
        (importer, imported)
        for importer, imported in arrows
        if importer.startswith('neon_rnn.')
        and layer(imported)
        and LAYERS.index(layer(imported)) > LAYERS.index(layer(importer))
    ]
    assert wrong == []


@pytest.mark.parametrize(('one', 'other'), APART)
def test_folders_side_by_side_do_not_import_each_other(arrows, one, other):
    wrong = [pair for pair in arrows if {layer(pair[0]), layer(pair[1])} == {one, other}]
    assert wrong == []


def test_the_package_never_imports_the_benchmarks(arrows):
    wrong = [pair for pair in arrows if pair[0].startswith('neon_rnn') and 'benchmarks' in pair[1]]
    assert wrong == []


def test_the_two_engines_do_not_import_each_other(arrows):
    engines = 'neon_rnn.engines.neon', 'neon_rnn.engines.torch'
    wrong = [
        (importer, imported)
        for importer, imported in arrows
        for one, other in (engines, engines[::-1])
        if importer.startswith(one) and imported.startswith(other)
    ]
    assert wrong == []


def test_the_layers_of_the_torch_engine(arrows):
    def place(module):
        parts = module.split('.')
        inside = parts[:3] == ['neon_rnn', 'engines', 'torch'] and len(parts) > 3
        return parts[3] if inside and parts[3] in TORCH_LAYERS else None

    wrong = [
        (importer, imported)
        for importer, imported in arrows
        if place(importer)
        and place(imported)
        and TORCH_LAYERS.index(place(imported)) > TORCH_LAYERS.index(place(importer))
    ]
    assert wrong == []


def test_there_is_no_circle():
    """Follow the imports at the top of each module; those in functions run later."""
    known = modules()
    needs = {name: imports(file, known, inside_functions=False) for name, file in known.items()}
    open_, done = [], set()

    def visit(name):
        assert name not in open_, f'a circle: {" -> ".join([*open_[open_.index(name) :], name])}'
        if name in done:
            return
        open_.append(name)
        for other in sorted(needs[name] - {name}):
            visit(other)
        done.add(open_.pop())

    for name in known:
        visit(name)


def python35_files():
    patterns = (ROOT / '.ci' / 'python35.txt').read_text('utf-8').split()
    paths = [Path(path) for pattern in patterns for path in glob.glob(str(ROOT / pattern))]
    assert all(glob.glob(str(ROOT / pattern)) for pattern in patterns), 'a pattern finds nothing'
    return {file for path in paths for file in (path.rglob('*.py') if path.is_dir() else [path])}


def test_modules_of_the_container_import_only_such_modules():
    known, old = modules(), python35_files()
    empty = {file for file in known.values() if 'import' not in file.read_text('utf-8')}
    wrong = [
        (str(file.relative_to(ROOT)), other)
        for file in old
        for other in imports(file, known, inside_functions=False)
        if known[other] not in old | empty
    ]
    assert wrong == []


def test_a_folder_is_old_or_modern_as_a_whole():
    """Only the benchmarks hold both: their worker also runs beside neon."""
    old = python35_files()
    folders = {}
    for file in modules().values():
        if PACKAGE in file.parents and file.parent != PACKAGE:
            folders.setdefault(file.parent, set()).add(file in old)
    mixed = [str(folder.relative_to(ROOT)) for folder, kinds in folders.items() if len(kinds) > 1]
    assert mixed == []
