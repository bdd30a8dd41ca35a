"""Write a benchmark as Markdown and as a plot: pure functions of its figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from benchmarks import load, measure
from neon_rnn.report import drawing
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.wording import counted

#: The rows of the table of ratios are `OURS`, its columns `REFERENCES`.
REFERENCES = (
    'neon-mkl',
    'neon-gpu',
    'eager-float32',
    'eager-float32-memory',
    'channels-last-float32',
    'channels-last-bf16',
    'compiled-float32',
    'compiled-bf16',
    'renet-float32',
    'jax-float32',
    'keras-float32',
)
OURS = ('torch-float32', 'torch-bf16')


def markdown(report: dict[str, Any]) -> str:
    """Return a section for each part that was measured."""
    plan, machine = report['plan'], report['machine']
    sections = [
        '# Benchmark of {}\n'.format(plan['model']),
        '{cpu}, {counted_cores}, {memory_gib} GiB; {system}. {when}, commit {commit}{dirty}. '
        'Backend {backend}, minibatches of {batch}, images of {side} x {side}. Variants take '
        'turns; a figure is the median, with the 10th and 90th percentile.\n'.format(
            counted_cores=counted(machine['cores'], 'core'),
            when=report['when'],
            commit=(report['git'].get('commit') or 'unknown')[:10],
            dirty=' with changes' if report['git'].get('dirty') else '',
            **machine,
            **_settings(plan),
        ),
    ]
    if 'load' in report:
        sections.append(load.describe(report['load']))
    if 'peaks' in report:
        sections.append(_limits(report))
    for part, title in (('train', 'Training'), ('predict', 'Inference')):
        if part in report['parts']:
            sections += ['## {}\n'.format(title), _speeds(report, part)]
    if 'train' in report['parts']:
        sections += ['How many times faster, turn by turn:\n', _ratios(report)]
    if any('check' in figures for figures in report.get('variants', {}).values()):
        sections += ['## The same results\n', _checks(report)]
    if 'layers' in report:
        sections += ['## Where the time goes\n', *_layers(report['layers'])]
    if 'loading' in report:
        sections += [
            '## Reading minibatches\n',
            '{} images/s from HDF5 in a new order (in training it runs beside '
            'the computing).\n'.format(speed_text(report['loading'])),
        ]
    for part, name in (('batches', 'batch'), ('sides', 'side')):
        if part in report:
            sections += [
                '## Training by {}\n'.format(
                    'batch size' if name == 'batch' else 'side of the image'
                ),
                _scaling(report[part], name),
            ]
    return '\n'.join(sections)


def _settings(plan: dict[str, Any]) -> dict[str, Any]:
    return {key: plan[key] for key in ('backend', 'batch', 'side')}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown, all columns but the first aligned to the right."""
    lines = [header, ['---'] + ['---:'] * (len(header) - 1), *rows]
    return ''.join('| {} |\n'.format(' | '.join(line)) for line in lines)


def speed_text(figures: dict[str, Any]) -> str:
    """Return images/s, as `measure.spread` has them, for a table."""
    text = (
        '{median:.1f} ({low:.1f} to {high:.1f})'
        if figures['count'] > 1
        else '{median:.1f} (one minibatch)'
    )
    return text.format(**figures)


def _limits(report: dict[str, Any]) -> str:
    flops, peaks = report['flops'], report['peaks']
    if 'memory' not in peaks:
        return 'The limits of the machine could not be measured: {}\n'.format(peaks.get('error'))
    return (
        'Limits, the best of all turns: products {:.0f} GFLOP/s in float32, {:.0f} in bfloat16; '
        'memory {:.1f} GB/s. The network has {:,} parameters and needs {:.3f} GFLOP for a training '
        'image, {:.3f} in inference, counted from its layers.\n'.format(
            peaks['float32'] / 1e9,
            peaks['bf16'] / 1e9,
            peaks['memory'] / 1e9,
            flops['parameters'],
            flops['train'] / 1e9,
            flops['predict'] / 1e9,
        )
    )


def _speeds(report: dict[str, Any], part: str) -> str:
    rows = []
    for figures in report['variants'].values():
        if part not in figures and 'error' not in figures:
            continue  # it only predicts
        if part not in figures:
            rows.append([figures['label'], figures.get('error', 'not measured'), '', '', ''])
            continue
        precision = 'bf16' if 'bf16' in figures['label'] else 'float32'
        speed = measure.rate(figures[part], report['plan']['batch'])
        failed = '; then ' + figures['error'] if 'error' in figures else ''
        gflops = speed['median'] * report['flops'][part] / 1e9
        share = roofline_share(report, part, precision, speed['median'])
        rows.append(
            [
                figures['label'],
                speed_text(speed) + failed,
                '{:.0f}'.format(gflops),
                '{:.0f}%'.format(100 * share) if share else '',
                '{:.1f}'.format(figures['peak_memory_gib']) if 'peak_memory_gib' in figures else '',
            ]
        )
    speeds = table(['', 'images/s', 'GFLOP/s', 'of the roofline', 'peak memory, GiB'], rows)
    if any(figures.get('rests') for figures in report['variants'].values()):
        speeds += (
            '\nTogether they need more memory than there is. So they gave theirs back after each '
            'turn, and the first minibatch of a turn does not count.\n'
        )
    left_out = ''.join(
        '- {label}: not measured, {reason}\n'.format(**each)
        for each in report.get('skipped', {}).values()
    )
    return speeds + ('\n' + left_out if left_out else '')


def _checks(report: dict[str, Any]) -> str:
    """Tabulate how far each variant was from the engine in float32, before it was timed."""
    names = ('probabilities', 'cost', 'step')
    rows = [
        [
            figures['label'],
            *(
                '{:.0e}'.format(figures['check'][name]) if name in figures['check'] else ''
                for name in names
            ),
        ]
        for figures in report['variants'].values()
        if 'check' in figures
    ]
    return (
        'Every variant got the same weights and the same images, and was timed only if it computed '
        'what the torch engine computes in float32: the largest difference of a probability, that '
        'of the cost, and that of all parameters after one training step, relative to the step.\n\n'
    ) + table(['', *names], rows)


def roofline_share(report: dict[str, Any], part: str, precision: str, speed: float) -> float | None:
    """Return a speed as a share of the one that the measured limits allow, layer by layer.

    Parameters
    ----------
    report : dict
    part : str
        ``'train'`` or ``'predict'``.
    precision : str
    speed : float
        Images per second.

    Returns
    -------
    float or None
        None if the limits were not measured.
    """
    peaks = report.get('peaks', {})
    if 'memory' not in peaks:
        return None
    size = 2 if precision == 'bf16' else 4
    seconds = 0.0
    for position, work in enumerate(report['flops']['layers']):
        # Training: forward pass, gradient of the weights and, except in the first layer, of the
        # input.
        passes = 1 if part == 'predict' else 3 if position else 2
        traffic = passes * work['read'] + (1 if part == 'predict' else 2) * work['written']
        seconds += max(
            passes * work['forward'] / peaks[precision], traffic * size / peaks['memory']
        )
    return speed * seconds


def _ratios(report: dict[str, Any]) -> str:
    variants = {
        key: figures['train'] for key, figures in report['variants'].items() if 'train' in figures
    }
    references = [key for key in REFERENCES if key in variants]
    rows = [
        [
            report['variants'][ours]['label'],
            *('{:.2f}'.format(measure.ratio(variants[ours], variants[key])) for key in references),
        ]
        for ours in OURS
        if ours in variants
    ]
    return table(['', *('than ' + report['variants'][key]['label'] for key in references)], rows)


def _layers(layers: dict[str, Any]) -> Iterator[str]:
    for key, rows in layers.items():
        if isinstance(rows, dict):
            yield '{}: {}\n'.format(key, rows.get('error', 'not measured'))
            continue
        total = sum((row['forward'] or 0) + (row['backward'] or 0) for row in rows)
        yield '{}, one minibatch:\n'.format(key)
        yield table(
            ['layers', 'forward, ms', 'backward, ms', 'share'],
            (
                [
                    row['name'],
                    *(
                        '' if row[way] is None else '{:.1f}'.format(1e3 * row[way])
                        for way in ('forward', 'backward')
                    ),
                    '{:.0f}%'.format(
                        100 * ((row['forward'] or 0) + (row['backward'] or 0)) / total
                    ),
                ]
                for row in rows
                if ((row['forward'] or 0) + (row['backward'] or 0)) / total >= 0.002
            ),
        )


def _scaling(entries: list[dict[str, Any]], name: str) -> str:
    keys = list(entries[0]['variants'])
    rows = []
    for entry in entries:
        cells = [
            speed_text(measure.rate(figures['train'], entry['batch']))
            if 'train' in figures
            else figures.get('error', 'not measured')
            for figures in entry['variants'].values()
        ]
        rows.append([str(entry[name]), *cells])
    labels = [entries[0]['variants'][key]['label'] for key in keys]
    return table(
        [
            'batch size'
            if name == 'batch'
            else 'side, pixels (batch {})'.format(entries[0]['batch']),
            *labels,
        ],
        rows,
    )


def plot(report: dict[str, Any]) -> str:
    """Plot the training speed of each variant as SVG; lines are 10th to 90th percentile.

    Raises
    ------
    NeonRnnError
        No variant could be trained.
    """
    bars = [
        (figures['label'], measure.rate(figures['train'], report['plan']['batch']), key in OURS)
        for key, figures in report['variants'].items()
        if 'train' in figures
    ]
    if not bars:
        raise NeonRnnError('nothing to plot: no variant could be trained.')
    with drawing.style():
        height = 0.28 * len(bars) + 0.9
        figure = drawing.new_figure(8.2, height)
        axes = drawing.place(figure, 3.5, 0.45, 4.5, height - 0.8)
        for position, (_, speed, ours) in enumerate(reversed(bars)):
            axes.barh(
                position, speed['median'], 0.62, color=drawing.OURS if ours else drawing.OTHER
            )
            axes.plot(
                [speed['low'], speed['high']], [position, position], color=drawing.INK, linewidth=1
            )
            axes.annotate(
                '{:.1f}'.format(speed['median']),
                (max(speed['median'], speed['high']), position),
                xytext=(4, 0),
                textcoords='offset points',
                va='center',
                fontsize=8,
            )
        axes.set_yticks(range(len(bars)), [label for label, _, _ in reversed(bars)])
        axes.grid(axis='y', visible=False)
        axes.set_xlim(0, 1.15 * max(speed['high'] for _, speed, _ in bars))
        axes.set_xlabel('images/s')
        axes.set_title(
            'Training {}, minibatches of {}, {}'.format(
                report['plan']['model'],
                report['plan']['batch'],
                counted(report['machine']['cores'], 'core'),
            )
        )
        return drawing.svg(figure, 'bench')
