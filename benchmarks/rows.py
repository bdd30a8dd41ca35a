"""Tables of the training speed of every network, from benchmarks that are kept (`page`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks import measure, report
from neon_rnn import models, published

#: The two peers whose better one the engine is compared with: start of their keys -> heading.
PEERS = {'channels-last': 'channels last', 'compiled': '`torch.compile`'}
PRECISIONS = ('float32', 'bf16')
#: So many times the better peer is the goal.
GOAL = 1.3


def network(figures: dict[str, Any]) -> tuple[str, str, int]:
    """Return model, cell ('' for the usual one) and side of a benchmark."""
    plan = figures['plan']
    return plan['model'], plan['options'].get('rnn', ''), plan['side']


class Measured(NamedTuple):
    """A benchmark that is kept.

    Attributes
    ----------
    path : str
        Its file, relative to the page.
    figures : dict
        As `suite.run` returns them.
    """

    path: str
    figures: dict[str, Any]

    @property
    def network(self) -> tuple[str, str, int]:
        """Return model, cell ('' for the usual one) and side."""
        return network(self.figures)

    @property
    def when(self) -> str:
        """Return date and time, UTC, and the commit."""
        commit = (self.figures['git'].get('commit') or 'unknown')[:7]
        return f'{self.figures["when"][:16].replace("T", " ")}, {commit}'

    @property
    def disturbed(self) -> bool:
        """Tell whether other work disturbed it."""
        return self.figures.get('load', {}).get('disturbed', False)

    @property
    def link(self) -> str:
        """Return a link to the file, for a table."""
        return f'[{self.when}]({self.path})' + (', disturbed' if self.disturbed else '')

    def ratios(self, precision: str) -> dict[str, float]:
        """Return how many times as fast the engine is as each of `PEERS` that was measured."""
        trained = self._trained()
        ours = trained.get(f'torch-{precision}')
        if ours is None:
            return {}
        keys = {peer: f'{peer}-{precision}' for peer in PEERS}
        return {
            peer: measure.ratio(ours, trained[key]) for peer, key in keys.items() if key in trained
        }

    def rate(self, key: str) -> dict[str, Any] | None:
        """Return the images/s of a variant, as `measure.spread`; None if it was not measured."""
        trained = self._trained()
        return measure.rate(trained[key], self.figures['plan']['batch']) if key in trained else None

    def _trained(self) -> dict[str, list[dict[str, Any]]]:
        variants = self.figures['variants']
        return {key: found['train'] for key, found in variants.items() if 'train' in found}


def tables(measured: Sequence[Measured]) -> Iterator[str]:
    """Iterate over the tables of a machine.

    Of each network they have the latest benchmark, if possible one that other work did not disturb,
    and the ratios of all others.
    """
    order = list(models.ROWS + models.EXTRAS)
    ranked = sorted(measured, key=lambda each: each.figures['when'], reverse=True)
    ranked.sort(key=lambda each: (order.index(each.network[0]), *each.network[1:]))
    shown: dict[tuple[str, str, int], Measured] = {}
    for each in sorted(ranked, key=lambda each: each.disturbed):
        shown.setdefault(each.network, each)
    others = [each for each in ranked if shown[each.network] is not each]
    for precision in PRECISIONS:
        run = [
            each
            for each in ranked
            if shown[each.network] is each and each.rate(f'torch-{precision}')
        ]
        if run:
            found = [min(ratios.values()) for each in run if (ratios := each.ratios(precision))]
            reached = sum(ratio >= GOAL for ratio in found)
            goal = f'{reached} of {len(found)} reach the goal' if found else 'no peer was measured'
            yield f'\n{precision}; {goal}:\n\n'
            yield speeds(run, precision)
    if others:
        yield '\nOther runs, times the better peer:\n\n' + report.table(
            ['', *PRECISIONS, 'when, commit'],
            [
                [
                    label(each),
                    *(better(each.ratios(precision)) for precision in PRECISIONS),
                    each.link,
                ]
                for each in others
            ],
        )


def limits(measured: Sequence[Measured]) -> str:
    """Say how fast the machine was in these benchmarks."""
    peaks = [each.figures['peaks'] for each in measured]
    ranges = {
        name: '{:.0f} to {:.0f}'.format(
            *(limit(each[name] / 1e9 for each in peaks) for limit in (min, max))
        )
        for name in ('float32', 'bf16', 'memory')
    }
    machine = measured[0].figures['machine']
    on_gpu = measured[0].figures['plan'].get('backend') == 'gpu'
    return (
        '{cpu}, {cores} cores, {memory_gib} GiB. {whose}, the best turn of each run: products '
        '{float32} GFLOP/s in float32, {bf16} in bfloat16; memory {memory} GB/s.\n'
    ).format(**machine, **ranges, whose='The limits of its GPU' if on_gpu else 'Its limits')


def speeds(measured: Sequence[Measured], precision: str) -> str:
    """Tabulate benchmarks in one precision."""
    header = ['', 'engine, images/s', 'times the better peer', 'of the roofline', 'GiB']
    for heading in PEERS.values():
        header += [heading, 'times', 'GiB']
    return report.table(
        [*header, 'when, commit'], [_speeds_of(each, precision) for each in measured]
    )


def _speeds_of(measured: Measured, precision: str) -> list[str]:
    ours = f'torch-{precision}'
    speed, ratios = measured.rate(ours), measured.ratios(precision)
    assert speed is not None
    share = report.roofline_share(measured.figures, 'train', precision, speed['median'])
    cells = [
        label(measured),
        report.speed_text(speed),
        better(ratios),
        '{:.0f}%'.format(100 * share) if share else '',
        _memory(measured, ours),
    ]
    for peer in PEERS:
        key = f'{peer}-{precision}'
        theirs = measured.rate(key)
        if theirs is None:
            cells += ['not run', '', '']
        else:
            speed_of_peer = '{:.1f}'.format(theirs['median'])
            cells += [speed_of_peer, f'{ratios[peer]:.2f}', _memory(measured, key)]
    return [*cells, measured.link]


def _memory(measured: Measured, key: str) -> str:
    found = measured.figures['variants'][key].get('peak_memory_gib')
    return '' if found is None else f'{found:.1f}'


def label(measured: Measured) -> str:
    """Return the name of a network in the table, such as ``RNN, bilstm`` or ``TL-1, 64 x 64``."""
    model, cell, side = measured.network
    known = published.rows().get(model)
    name = known.row if known else model
    usual = known.input_side if known else 128
    return ', '.join([name, *([cell] if cell else []), *([f'{side} x {side}'] * (side != usual))])


def better(ratios: dict[str, float]) -> str:
    """Say how many times as fast the engine is as the better peer; in bold if that is the goal."""
    if not ratios:
        return 'not run'
    least = min(ratios.values())
    return f'**{least:.2f}**' if least >= GOAL else f'{least:.2f}'
