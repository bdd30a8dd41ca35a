"""Where every number comes from: the part of the page that names runs, code, machine and data."""

import shlex
from html import escape
from typing import Any
from urllib.parse import quote

from neon_rnn.report.choose import Choice, Configuration
from neon_rnn.report.collect import Run
from neon_rnn.support.wording import counted


def record_link(runs: str, folder: str, name: str = 'record.json') -> str:
    """The link from the page or the table to a file of a run."""
    return quote('/'.join(part for part in (runs, folder, name) if part), safe='/.-_~')


def anchor(row: dict[str, Any]) -> str:
    """The place on the page that describes the runs of a row of `table.table_data`; browsers unfold it."""
    return '#run-' + quote(row['runs'][0], safe='.-_~')


def fragment(choice: Choice, data: dict[str, Any], runs: str) -> str:
    """The section as HTML.

    Parameters
    ----------
    choice, data
        As for `page.page`.
    runs
        The way from the page to the folder of runs.
    """
    parts = [_configuration(configuration, runs) for configuration in choice.shown]
    if not parts:
        parts = [
            '<p>No runs yet: <code>./run.sh train --model rnn --data data/demo</code> makes the first.</p>'
        ]
    if choice.others:
        lines = ''.join(
            f'<li>{escape(row["row"])}, {escape(row["engine"])} {escape(row["backend"])}, {escape(row["dataset"])}: '
            f'{"no result" if row["accuracy"] is None else format(row["accuracy"], ".1f") + "%"}; '
            f'{escape(row["status"])} '
            + ' '.join(_record(runs, folder) for folder in row['runs'])
            + '</li>\n'
            for row in data['others']
        )
        parts.append(
            f'<details><summary>Not in the table: {len(choice.others)} more</summary>\n'
            f'<ul>\n{lines}</ul></details>'
        )
    if data['left_out']:
        lines = ''.join(
            f'<li><code>{escape(each["folder"])}</code> {escape(each["reason"])}</li>\n'
            for each in data['left_out']
        )
        parts.append(
            f'<details open><summary>Records left out: {len(data["left_out"])}</summary>\n<ul>\n{lines}</ul>'
            '</details>'
        )
    return '\n'.join(parts)


def _record(runs: str, folder: str) -> str:
    return f'<a href="{record_link(runs, folder)}">{escape(folder)}</a>'


def _configuration(configuration: Configuration, runs: str) -> str:
    """One configuration: what its runs share, then each run."""
    record = configuration.first
    dataset, settings = record['dataset'], record['hyperparameters']
    shared = [
        ('Network', f'{record["model"]}, {record["parameters"]:,} parameters'),
        ('Engine', f'{record["engine"]}, {record["backend"]}, {record["precision"]}'),
        (
            'Training',
            f'{counted(settings["epochs"], "epoch")}, batch size {settings["batch_size"]}, learning rate '
            f'{settings["learning_rate"]}, momentum {settings["momentum_coef"]}, weight decay '
            f'{settings["wdecay"]}' + ('' if settings['shuffle'] else ', not shuffled'),
        ),
        (
            'Data',
            f'{dataset["name"]} ({dataset["kind"]}), {_shape(dataset["shape"])}; {_counts(dataset["counts"])}',
        ),
        (
            'sha256',
            ', '.join(f'{name} {value[:12]}' for name, value in sorted(dataset['sha256'].items()))
            or 'none',
        ),
    ]
    items = ''.join(f'<dt>{name}</dt><dd>{escape(text)}</dd>' for name, text in shared)
    each = '\n'.join(_run(run, runs) for run in configuration.runs)
    return (
        f'<details><summary>{escape(configuration.name)} <small>{escape(configuration.status)}'
        f'</small></summary>\n<dl>{items}</dl>\n{each}\n</details>'
    )


def _run(run: Run, runs: str) -> str:
    """One run: its result, when, where and with what it was made."""
    record = run.record
    final, git, machine = record['final'], record['git'], record['machine']
    result = f'{final["correct"]} of {final["count"]} right' if final else record['status']
    code = (
        'not in a git checkout'
        if git['commit'] is None
        else git['commit'][:12] + (' with uncommitted changes' if git['dirty'] else '')
    )
    memory = '' if machine['memory_gib'] is None else f', {machine["memory_gib"]} GiB'
    device = ', '.join(
        f'{key} {value}'
        for key, value in sorted(record['device'].items())
        if not isinstance(value, dict)
    )
    resumed = ''.join(
        f'; resumed after epoch {each.get("at_epoch")}{_elsewhere(each, record)}'
        for each in record['resumed']
    )
    rows = [
        ('Result', f'seed {record["seed"]}: {result}'),
        ('When', f'{record["started"]} to {record["ended"] or "?"}{resumed}'),
        ('Code', code),
        (
            'Versions',
            ', '.join(f'{name} {version}' for name, version in sorted(record['versions'].items())),
        ),
        ('Device', device),
        (
            'Machine',
            f'{machine["cpu"]}, {counted(machine["cores"], "core")}{memory}, {machine["system"]}',
        ),
        ('Command', ' '.join(shlex.quote(str(word)) for word in record['argv'])),
    ]
    items = ''.join(f'<dt>{name}</dt><dd>{escape(text)}</dd>' for name, text in rows if text)
    links = ' '.join(
        f'<a href="{record_link(runs, run.folder, name)}">{name}</a>'
        for name in ('record.json', 'epochs.csv', 'minibatches.csv')
    )
    name = escape(run.folder)
    return f'<h3 id="run-{name}">{name}</h3>\n<p class="links">{links}</p>\n<dl>{items}</dl>'


def _elsewhere(resumption: dict[str, Any], record: dict[str, Any]) -> str:
    """In which respects a resumption was not where its run began."""
    names = [
        name
        for name in ('machine', 'device', 'versions', 'git')
        if resumption.get(name, record[name]) != record[name]
    ]
    return f' with another {", ".join(names)}' if names else ''


def _shape(shape: list[int]) -> str:
    return 'x'.join(map(str, shape))


def _counts(counts: dict[str, Any]) -> str:
    """Such as ``train 500 female, 500 male``."""
    return '; '.join(
        f'{part} ' + ', '.join(f'{count} {name}' for name, count in sorted(classes.items()))
        for part, classes in sorted(counts.items())
        if isinstance(classes, dict)
    )
