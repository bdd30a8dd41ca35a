"""docs/models.md: its figures are those of the networks."""

import ast
import os
import re

import numpy as np
import pytest

from benchmarks import flops
from neon_rnn import engines, models, published
from neon_rnn.models.rnn import CELLS
from neon_rnn.support.paths import ROOT


def read_page():
    with open(os.path.join(ROOT, 'docs', 'models.md'), encoding='utf-8') as file:
        return file.read()


def table_rows(first_column):
    """Iterate over the rows of the table whose header starts with `first_column`."""
    lines = read_page().splitlines()
    start = next(
        number
        for number, line in enumerate(lines)
        if line.startswith('| {} |'.format(first_column))
    )
    for line in lines[start + 2 :]:
        if not line.startswith('|'):
            return
        yield [cell.strip().strip('`') for cell in line.strip('|').split('|')]


@pytest.fixture
def figures(monkeypatch):
    """Return a function: network, options -> parameters, forward and training operations.

    Weights are zero, so that none have to be computed.
    """
    nn = engines.load('torch')
    for initializer in (nn.Kaiming, nn.GlorotUniform):
        monkeypatch.setattr(
            initializer, 'sample', lambda self, rng, shape: np.zeros(shape, np.float32)
        )
    nn.start('cpu', batch_size=2, rng_seed=0, threads=1)

    def figures_of(name, side, **options):
        model, cost = models.build(name, nn, (3, side, side), **options)
        model.initialize((3, side, side), cost)
        return (
            sum(each.numel() for each in model.parameters),
            flops.inference_flops(model),
            flops.training_flops(model),
        )

    return figures_of


def test_the_table_of_the_rows(figures):
    found = list(table_rows('row'))
    assert [cells[1] for cells in found] == list(models.ROWS)
    for cells, row in zip(found, published.rows().values(), strict=True):
        parameters, forward, training = figures(row.name, row.input_side)
        assert cells == [
            row.row,
            row.name,
            str(row.input_side),
            '{:,}'.format(parameters),
            '{:,.0f}'.format(forward / 1e6),
            '{:.2f}'.format(training / 1e9),
            str(row.epochs),
            row.topology,
        ]


def own_layers():
    """Return the classes that the neon engine takes from its folder recurrent/."""
    with open(os.path.join(ROOT, 'neon_rnn', 'engines', 'neon', '__init__.py')) as file:
        tree = ast.parse(file.read())
    return {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and 'engines.neon.recurrent' in node.module
        for alias in node.names
    }


def test_the_table_of_the_cells(figures):
    found = list(table_rows('`--rnn`'))
    assert [cells[0] for cells in found] == list(CELLS)
    for cells in found:
        parameters, forward, _ = figures('rnn', 128, rnn=cells[0])
        assert cells[3:] == ['{:,}'.format(parameters), '{:,.0f}'.format(forward / 1e6)]
        layer = CELLS[cells[0]].layer
        assert layer in engines.CONTRACT
        assert cells[2] == ('ours' if layer in own_layers() else "neon's")


def test_the_figures_of_efficientnet(figures):
    parameters, forward, _ = figures('efficientnet-lite0', 224)
    text = re.sub(r'\s+', ' ', read_page())
    assert (
        '{:,} parameters and {:.0f} million operations at 224x224'.format(parameters, forward / 1e6)
        in text
    )
