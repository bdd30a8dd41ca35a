"""Measure the parts of a benchmark; each part returns plain figures for the JSON file."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy
from tqdm import tqdm

from benchmarks import flops, load, measure
from benchmarks.lineup import Lineup, Pythons, lineup
from benchmarks.reference import Reference
from benchmarks.variants import Variant, Worker
from neon_rnn import engines, models
from neon_rnn.data import dataset, minibatches
from neon_rnn.ingest.output import PartData, write_dataset
from neon_rnn.runs import records
from neon_rnn.support import machine

#: Batch sizes, and sides of the images in pixels, that the parts of these names compare.
BATCHES = (1, 8, 32, 128, 512)
SIDES = (64, 96, 128, 192, 256)
#: The variants that these parts compare.
COMPARED = ('torch-float32', 'torch-bf16', 'eager-float32')


class Plan(NamedTuple):
    """The settings of a benchmark.

    Attributes
    ----------
    model, backend : str
    batch, side : int
    threads : int or None
    seconds : float
        Time for each figure of each variant.
    neon_python : str or None
        The Python that has Intel neon.
    busy : int
        Processes that compute beside the variants.
    peers_python : str or None
        The Python that has the peers of peers.txt; default: this one.
    peers : tuple of str or None
        Some of `lineup.PEERS`; default: all that are installed.
    options : dict
        Further arguments of the network's function.
    """

    model: str
    backend: str
    batch: int
    side: int
    threads: int | None
    seconds: float
    neon_python: str | None
    busy: int = 0
    peers_python: str | None = None
    peers: tuple[str, ...] | None = None
    options: Mapping[str, Any] = MappingProxyType({})

    @property
    def common(self) -> dict[str, Any]:
        """Return what the specs of all variants share."""
        spec = {name: getattr(self, name) for name in ('model', 'backend', 'batch', 'side')}
        return {**spec, 'threads': self.threads, 'options': dict(self.options)}

    def lineup(self) -> Lineup:
        """Return who takes part."""
        return lineup(self.common, Pythons(self.neon_python, self.peers_python), self.peers)


def run(plan: Plan, parts: tuple[str, ...]) -> dict[str, Any]:
    """Measure parts of a benchmark, beside as many busy processes as the plan wants.

    Parameters and result as of `measure_parts`; the result has ``load`` as well, see `load.Watch`.
    """
    watch = load.Watch()
    with load.busy(plan.busy):
        report = measure_parts(plan, parts)
    return dict(report, load=watch.figures(plan.busy))


def measure_parts(plan: Plan, parts: tuple[str, ...]) -> dict[str, Any]:
    """Measure parts of a benchmark.

    Parameters
    ----------
    plan : Plan
    parts : tuple of str
        Some of `command.PARTS`.

    Returns
    -------
    dict
        The figures, with machine, versions and commit.
    """
    report: dict[str, Any] = {
        'schema': 1,
        'plan': {**plan._asdict(), 'options': dict(plan.options)},
        'parts': list(parts),
        'machine': machine.describe(),
        'versions': machine.versions(),
        'git': machine.git_state(),
        'when': records.now(),
        'flops': count_flops(plan),
    }
    requests = [part for part in ('train', 'predict') if part in parts]
    if requests:
        report.update(compare(plan, requests))
    if 'layers' in parts:
        with referenced(plan, lineup(plan.common, Pythons(), ())) as (ours, _):
            answers = measure.take_turns(ours, ['layers'], plan.seconds / 2)
        report['layers'] = {
            key: answer['layers'][-1]['layers'] if 'layers' in answer else answer
            for key, answer in answers.items()
        }
    if 'loading' in parts:
        report['loading'] = loading(plan)
    for part, values, name in (('batches', BATCHES, 'batch'), ('sides', SIDES, 'side')):
        if part in parts:
            fixed = {} if name == 'batch' else {'batch': min(plan.batch, 32)}
            report[part] = []
            for value in tqdm(values, desc=part, leave=False, disable=None):
                changed = plan._replace(**{**fixed, name: value})
                all_of_them = lineup(changed.common, Pythons(), ('eager',))
                with referenced(changed, all_of_them) as (able, _):
                    chosen = [variant for variant in able if variant.key in COMPARED]
                    figures = measure.take_turns(chosen, ['train'], plan.seconds / 5)
                report[part].append(
                    {name: value, 'batch': fixed.get('batch', value), 'variants': figures}
                )
    return report


def compare(plan: Plan, requests: Sequence[str]) -> dict[str, Any]:
    """Measure training and prediction of all variants, and the limits of the machine.

    Returns
    -------
    dict
        ``variants``, ``skipped`` and ``peaks`` of the report.
    """
    peaks = Variant(
        'peaks',
        'limits of the machine',
        {'kind': 'peaks', 'backend': plan.backend, 'threads': plan.threads},
    )
    with referenced(plan, plan.lineup()) as (able, skipped):
        able = [variant for variant in able if set(requests) & set(variant.requests)]
        in_turn = [variant for variant in able if not variant.alone]
        found = measure.take_turns([*in_turn, peaks], requests, plan.seconds)
        for variant in able:
            if variant.alone:
                found.update(measure.take_turns([variant], requests, plan.seconds))
    limits = best_rates(found.pop('peaks'))
    return {'variants': found, 'skipped': skipped, 'peaks': limits}


@contextlib.contextmanager
def referenced(plan: Plan, chosen: Lineup) -> Iterator[Lineup]:
    """Make the reference of a plan's network and minibatch, and have the variants check theirs.

    Yields
    ------
    Lineup
        The same; peers that lack a layer of the network are skipped.

    Raises
    ------
    NeonRnnError
        The torch engine could not compute it.
    """
    kinds = {variant.spec['kind'] for variant in chosen.variants}
    spec = dict(plan.common, kind='reference', engine='torch', precision='float32')
    with tempfile.TemporaryDirectory() as folder:
        spec.update(reference=folder, onnx='predictor' in kinds)
        Worker(Variant('reference', 'the reference', spec)).close()
        first = Reference(folder).layers[0]
        able, skipped = [], dict(chosen.skipped)
        for variant in chosen.variants:
            if variant.spec['kind'] == 'peer' and first['kind'] == 'unknown':
                skipped[variant.key] = {'label': variant.label, 'reason': first['why']}
            else:
                able.append(variant._replace(spec=dict(variant.spec, reference=folder)))
        yield Lineup(able, skipped)


def failures(figures: dict[str, Any]) -> list[str]:
    """Return the error of every variant that failed in any part."""
    groups = [figures.get('variants', {}), figures.get('layers', {})]
    groups += [
        entry['variants'] for part in ('batches', 'sides') for entry in figures.get(part, ())
    ]
    return [
        each['error']
        for group in groups
        for each in group.values()
        if isinstance(each, dict) and 'error' in each
    ]


def count_flops(plan: Plan) -> dict[str, float]:
    """Count the operations of an image from the network's layers."""
    nn = engines.load('torch')
    nn.start('cpu', plan.batch, 0)
    model, cost = models.build(plan.model, nn, (3, plan.side, plan.side), **plan.options)
    model.initialize((3, plan.side, plan.side), cost)
    work = [each._asdict() for each in flops.layer_work(model.layers)]
    return {
        'train': flops.training_flops(model),
        'predict': flops.inference_flops(model),
        'layers': work,
        'parameters': sum(tensor.numel() for tensor in model.parameters),
    }


def loading(plan: Plan) -> dict[str, Any]:
    """Measure reading of minibatches in a new order, as training does, without training."""
    count = max(plan.batch * 8, 512)
    rng = numpy.random.RandomState(0)
    labels = numpy.arange(count) % 2
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            part: PartData(
                labels,
                [rng.randint(0, 256, (count, 3 * plan.side**2)).astype(numpy.uint8)],
                [''] * count,
                [''] * count,
            )
            for part in ('train', 'test')
        }
        folder = os.path.join(folder, 'noise')
        write_dataset(
            folder,
            parts,
            (3, plan.side, plan.side),
            {
                'name': 'noise',
                'source': 'bench',
                'kind': 'synthetic',
                'class_names': ['even', 'odd'],
                'filters': [],
                'split': 'none',
                'seed': 0,
                'note': '',
            },
        )
        rates = []
        with contextlib.closing(dataset.open_dataset(folder)) as opened:
            for epoch in range(5):
                order = minibatches.epoch_order(count, 0, epoch)
                started = time.perf_counter()
                images = sum(
                    len(minibatch.labels)
                    for minibatch in minibatches.Minibatches(opened.train, plan.batch, order)
                )
                rates.append(images / (time.perf_counter() - started))
    return measure.spread(rates)


def best_rates(answers: dict[str, Any]) -> dict[str, float]:
    """Return the highest rates that the machine reached in any turn."""
    measured = [
        answer['rates'] for request in ('train', 'predict') for answer in answers.get(request, ())
    ]
    return (
        {name: max(rates[name] for rates in measured) for name in measured[0]}
        if measured
        else answers
    )
