"""The table of the recurrent cells: one group of comparable runs, and what is missing in it."""

import synthetic_records as synthetic

from neon_rnn import published
from neon_rnn.models.rnn import CELLS
from neon_rnn.report.cells import cells_table
from neon_rnn.report.choose import choose
from neon_rnn.report.collect import collect


def table(folder, *runs):
    """Return the lines for runs of (name, options, seed, epochs, correct answers of 200)."""
    for name, options, seed, epochs, correct in runs:
        made = synthetic.record(name, options=options, seed=seed, epochs=epochs, correct=correct)
        made['hyperparameters'] = dict(made['hyperparameters'], epochs=epochs)
        made['protocol'] = published.protocol(
            made['model'], made['hyperparameters'], made['dataset'], options
        )
        synthetic.write(folder, made)
    return cells_table(choose(collect(folder)))


def row(lines, name):
    (line,) = (line for line in lines if line.startswith(f'| `{name}` |'))
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_the_group_with_the_most_cells_is_shown_and_what_is_missing_named(tmp_path):
    lines = table(
        tmp_path,
        ('long', {}, 0, 90, 190),
        ('birnn-0', {}, 0, 15, 160),
        ('birnn-1', {'rnn': 'birnn'}, 1, 15, 170),
        ('lstm', {'rnn': 'lstm'}, 0, 15, 180),
        ('deeper', {'rnn': 'stacked', 'rnn_depth': 3}, 0, 15, 150),
        ('as-deep', {'rnn': 'deep_output', 'rnn_depth': 2}, 0, 15, 140),
    )
    assert '15 epochs' in lines[0]
    assert '200 test images' in lines[0]
    assert [
        line.split('`')[1] for line in lines if line.startswith('| `') and '--' not in line
    ] == [*CELLS]
    assert row(lines, 'birnn')[3:5] == ['82.5 ± 3.5', '76.6 to 87.1']
    assert row(lines, 'birnn')[6] == '0, 1'
    assert (row(lines, 'lstm')[1], row(lines, 'lstm')[3]) == ('1', '90.0')
    assert row(lines, 'deep_output')[3] == '70.0'
    assert row(lines, 'stacked')[2:] == [''] * 5
    assert 'Not trained yet: `bibnrnn`, ' in lines[-1]
    assert '`stacked`' in lines[-1]
    assert 'Seeds still missing: `lstm` (1 of 2), `deep_output` (1 of 2).' in lines[-1]


def test_all_of_them_or_none(tmp_path):
    assert table(tmp_path / 'none', ('mlp', {}, 0, 15, None)) == ['No such runs yet.']
    lines = table(tmp_path / 'all', *((name, {'rnn': name}, 0, 15, 160) for name in CELLS))
    assert lines[-1] == f'All {len(CELLS)} cells are trained, each with 1 seed.'
