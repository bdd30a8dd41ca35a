"""The table of the recurrent cells: the network of the row RNN with each of them."""

from typing import Any

from neon_rnn import published
from neon_rnn.models.rnn import CELLS
from neon_rnn.report.choose import Choice, Configuration
from neon_rnn.report.rows import row_data
from neon_rnn.report.texts import (
    accuracy_text,
    cell,
    data_text,
    engine_text,
    interval_text,
    markdown_table,
    seconds,
)
from neon_rnn.runs import identity
from neon_rnn.support.wording import counted


def cells_table(choice: Choice) -> list[str]:
    """Return the protocol in a sentence, the table, and a sentence that names what is missing.

    Runs are comparable if they differ in the cells and the seed only. Of the groups of comparable
    runs on photographs, the one with the most cells is shown; among equals that with the most
    finished runs.
    """
    groups: dict[str, dict[str, Configuration]] = {}
    for each in choice.everything:
        record = each.first
        name = _cell_of(each)
        if name and each.finished and record['dataset']['kind'] == 'photographs':
            same = identity.configuration(dict(record, options={}))
            groups.setdefault(same, {}).setdefault(name, each)
    if not groups:
        return ['No such runs yet.']

    def size(same: str) -> tuple[int, int, str]:
        found = groups[same].values()
        return len(found), sum(len(each.finished) for each in found), same

    found = groups[max(groups, key=size)]
    rows = {name: row_data(None, found[name]) for name in CELLS if name in found}
    lines = []
    for name, about in CELLS.items():
        row = rows.get(name)
        start = [f'`{name}`', '2' if about.directions == 2 else '1']
        if row is None:
            lines.append([*start, '', '', '', '', ''])
            continue
        lines.append(
            [
                *start,
                f'{row["parameters"]:,}' if type(row['parameters']) is int else '',
                accuracy_text(row),
                interval_text(row['interval']),
                seconds(row['training_seconds'], row['training_seconds_spread']),
                ', '.join(str(seed) for seed in row['seeds']),
            ]
        )
    table = markdown_table(
        '| `--rnn` | directions | parameters | accuracy, % | 95% interval | training time '
        '| seeds |',
        '|---|--:|--:|--:|:-:|--:|---|',
        lines,
    )
    return [_protocol(next(iter(rows.values()))), '', *table, '', _missing(rows)]


def _cell_of(configuration: Configuration) -> str | None:
    """Return the cells of a configuration of the row RNN; None for another network or depth."""
    record = configuration.first
    name = record['options'].get('rnn') or 'birnn'
    if record['model'] != 'rnn' or not isinstance(name, str) or name not in CELLS:
        return None
    plain = published.variant({'rnn': name}) == configuration.variant
    return name if plain else None


def _protocol(row: dict[str, Any]) -> str:
    return (
        f'{cell(data_text(row))}, {row["epochs"]} epochs, engine {engine_text(row)}; '
        f'{row["test_images"]} test images.'
    )


def _missing(rows: dict[str, dict[str, Any]]) -> str:
    """Return a sentence on the cells without a finished run and those with fewer seeds."""
    seeds = {name: len(row['seeds']) for name, row in rows.items()}
    most = max(seeds.values())
    absent = [f'`{name}`' for name in CELLS if name not in rows]
    fewer = [f'`{name}` ({count} of {most})' for name, count in seeds.items() if count < most]
    if not absent and not fewer:
        return f'All {len(rows)} cells are trained, each with {counted(most, "seed")}.'
    parts = [f'Not trained yet: {", ".join(absent)}.'] if absent else []
    parts += [f'Seeds still missing: {", ".join(fewer)}.'] if fewer else []
    return ' '.join(parts)
