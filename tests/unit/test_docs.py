"""The pages name files, functions, links and pictures that exist."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]


def stations():
    """Return (file, names) of each station on the photograph's way in docs/architecture.md."""
    text = (ROOT / 'docs' / 'architecture.md').read_text('utf-8')
    section = text.split('\n## ')[1]
    rows = [
        [cell.strip(' |') for cell in line.strip().split('|')[1:-1]]
        for line in section.splitlines()
        if line.startswith('|')
    ]
    return [
        (re.findall('`([^`]+)`', row[1])[0], re.findall('`([^`]+)`', row[2])) for row in rows[2:]
    ]


def test_the_way_of_a_photograph_is_described():
    assert len(stations()) > 20


@pytest.mark.parametrize(('file', 'names'), stations())
def test_the_functions_of_a_station_are_in_its_file(file, names):
    tree = ast.parse((ROOT / 'neon_rnn' / file).read_text('utf-8'))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert names
    assert set(names) <= defined


def test_architecture_names_every_folder_and_nothing_else():
    text = (ROOT / 'docs' / 'architecture.md').read_text('utf-8')
    section = text.split('\n## ')[2]
    cells = [line.split('|')[1] for line in section.splitlines() if line.startswith('| `')]
    named = {name.rstrip('/') for cell in cells for name in re.findall('`([^`]+)`', cell)}
    package = ROOT / 'neon_rnn'
    there = {path.name for path in package.iterdir() if path.suffix in ('.py', '.csv')} - {
        '__init__.py'
    }
    there |= {path.parent.relative_to(package).as_posix() for path in package.glob('*/__init__.py')}
    assert named == there | {'engines/neon', 'engines/torch'}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    text = re.sub('```.*?```', '', page.read_text('utf-8'), flags=re.DOTALL)
    links = [link for link in re.findall(r'\]\(([^)\s]+)\)', text) if '://' not in link]
    missing = [link for link in links if not (page.parent / link.split('#')[0]).exists()]
    assert missing == []


@pytest.mark.parametrize(
    'script', sorted((ROOT / 'docs' / 'figures').glob('*.py')), ids=lambda path: path.stem
)
def test_a_figure_is_what_its_script_draws(script):
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drawn = module.draw()
    files = drawn if isinstance(drawn, dict) else {f'{script.stem}.svg': drawn}
    for name, svg in files.items():
        there = script.with_name(name).read_text('utf-8')
        assert re.findall('<(?:path|text|g id)[^>]*', svg.decode()) == re.findall(
            '<(?:path|text|g id)[^>]*', there
        )
