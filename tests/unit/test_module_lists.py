"""docs/architecture.md names every module and nothing else; .ci/python35.txt is what it marks [3.5], with all that needs."""
import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'neon_rnn'


def described():
    """Name -> mark, of the modules and packages in the table of docs/architecture.md."""
    text = (ROOT / 'docs' / 'architecture.md').read_text('utf-8')
    rows = [line.strip('| ').split(' | ') for line in text[:text.index('\n## ')].splitlines() if line.startswith('| `')]
    return {name: cells[-1] for cells in rows for name in re.findall('`([^`]+)`', cells[0])}


def listed():
    """The files of .ci/python35.txt, folders taken whole."""
    paths = [ROOT / line for line in (ROOT / '.ci' / 'python35.txt').read_text().split()]
    return {file for path in paths for file in (path.rglob('*.py') if path.is_dir() else [path])}


def imported(file):
    """The files of the package that a file imports when it is itself imported, with their packages."""
    tree = ast.parse(file.read_text('utf-8'))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = {id(inner) for function in functions for inner in ast.walk(function)}
    names = set()
    for node in ast.walk(tree):
        if id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
            names.update('{}.{}'.format(node.module, alias.name) for alias in node.names)
    found = set()
    for name in names:
        parts = name.split('.')
        found |= {ROOT.joinpath(*parts[:count], '__init__.py') for count in range(1, len(parts) + 1)}
        found.add(ROOT.joinpath(*parts).with_suffix('.py'))
    return {path for path in found if path.is_file() and PACKAGE in path.parents}


def test_architecture_names_every_module_and_nothing_else():
    there = {path.name for path in PACKAGE.glob('*.py')} - {'__init__.py'}
    there |= {path.name + '/' for path in PACKAGE.iterdir() if path.is_dir() and path.name not in ('__pycache__', 'commands')}
    assert set(described()) == there | {'commands/NAME.py'}


def test_what_architecture_marks_is_what_is_checked_for_python_35():
    marked = {name for name, mark in described().items() if mark == '[3.5]' and '/' not in name}
    assert {path.name for path in listed() if path.parent == PACKAGE} - {'__init__.py'} == marked


def test_what_is_listed_exists_and_imports_nothing_that_is_not_listed():
    files = listed()
    assert {path for path in files if not path.is_file()} == set()
    needed = {path: imported(path) for path in files}
    assert PACKAGE / 'preparation.py' in needed[PACKAGE / 'training.py']
    empty = {path for path in PACKAGE.rglob('__init__.py') if 'import' not in path.read_text('utf-8')}
    assert {str(path.relative_to(ROOT)): sorted(str(each.relative_to(ROOT)) for each in lacking)
            for path, imports in needed.items() for lacking in [imports - files - empty] if lacking} == {}
