"""Both engines export exactly the contract, sorted, and what they declare beyond it."""

import ast
import importlib
import importlib.util
import inspect

import pytest

from neon_rnn import engines
from neon_rnn.support.errors import UsageError


def exports(name):
    """``__all__`` and ``EXTRAS`` of an engine, read from its source: neon need not be installed."""
    with open(
        importlib.util.find_spec('neon_rnn.engines.' + name).origin, encoding='utf-8'
    ) as file:
        tree = ast.parse(file.read())
    values = {
        target.id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if target.id in ('__all__', 'EXTRAS')
    }
    imported = [
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    return values['__all__'], values['EXTRAS'], imported


@pytest.mark.parametrize('name', engines.ENGINES)
def test_engines_export_exactly_the_contract_and_their_extras(name):
    everything, extras, imported = exports(name)
    assert everything == sorted(everything)
    assert len(everything) == len(set(everything))
    assert not set(extras) & set(engines.CONTRACT)
    assert set(everything) - {'EXTRAS'} == set(engines.CONTRACT) | set(extras)
    assert set(everything) - {'EXTRAS'} <= set(imported), 'exported but not imported'


def test_the_contract_is_sorted_and_has_no_name_twice():
    assert list(engines.CONTRACT) == sorted(set(engines.CONTRACT))


def test_the_torch_engine_has_every_name(nn):
    for name in [*engines.CONTRACT, *nn.EXTRAS]:
        assert inspect.isclass(getattr(nn, name)) or inspect.isfunction(getattr(nn, name)), name


def test_load_makes_an_engine_the_one_in_use(monkeypatch):
    monkeypatch.setattr(engines, '_current', None)
    module = engines.load('torch')
    assert module is importlib.import_module('neon_rnn.engines.torch')
    assert engines.current() is module


def test_the_default_is_neon_where_it_is_installed(monkeypatch):
    monkeypatch.setattr(engines, 'installed', lambda name: True)
    assert engines.default() == 'neon'
    monkeypatch.setattr(engines, 'installed', lambda name: name == 'torch')
    assert (engines.default(), engines.available()) == ('torch', ['torch'])


def test_without_any_engine_the_error_says_how_to_get_one(monkeypatch):
    monkeypatch.setattr(engines, '_current', None)
    monkeypatch.setattr(engines, 'installed', lambda name: False)
    with pytest.raises(UsageError, match=r'PyTorch is not installed.*run\.sh'):
        engines.current()
    with pytest.raises(UsageError, match='neon 2.6 is not installed.*container'):
        engines.load('neon')


@pytest.mark.parametrize('missing', ['torch', 'numba'])
def test_the_torch_engine_needs_both_of_its_libraries(monkeypatch, missing):
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: None if name == missing else object()
    )
    assert not engines.installed('torch')
    with pytest.raises(UsageError, match='or Numba is not'):
        engines.load('torch')


def test_an_unknown_engine_is_an_error():
    with pytest.raises(UsageError, match="no engine 'tensorflow'; the engines are neon and torch"):
        engines.load('tensorflow')
