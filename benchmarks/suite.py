"""Measure the parts of a benchmark; each part returns plain figures for the JSON file."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from typing import Any, NamedTuple

import numpy
from tqdm import tqdm

from benchmarks import flops, load, measure
from benchmarks.variants import Variant, variants
from neon_rnn import engines, models
from neon_rnn.data import dataset, minibatches
from neon_rnn.ingest.output import PartData, write_dataset
from neon_rnn.runs import records
from neon_rnn.support import machine

#: Batch sizes, and sides of the images in pixels, that the parts of these names compare.
BATCHES = (1, 8, 32, 128, 512)
SIDES = (64, 96, 128, 192, 256)


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
    """

    model: str
    backend: str
    batch: int
    side: int
    threads: int | None
    seconds: float
    neon_python: str | None
    busy: int = 0

    def variants(self, **changes: Any) -> list[Variant]:
        """Return the variants, with some settings changed."""
        plan = self._replace(**changes)
        return variants(
            plan.model, plan.backend, plan.batch, plan.side, plan.threads, plan.neon_python
        )


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
        'plan': plan._asdict(),
        'parts': list(parts),
        'machine': machine.describe(),
        'versions': machine.versions(),
        'git': machine.git_state(),
        'when': records.now(),
        'flops': count_flops(plan),
    }
    requests = [part for part in ('train', 'predict') if part in parts]
    if requests:
        peaks = Variant(
            'peaks',
            'limits of the machine',
            {'kind': 'peaks', 'backend': plan.backend, 'threads': plan.threads},
        )
        in_turn = [variant for variant in plan.variants() if not variant.alone]
        report['variants'] = measure.take_turns([*in_turn, peaks], requests, plan.seconds)
        for variant in plan.variants():
            if variant.alone:
                report['variants'].update(measure.take_turns([variant], requests, plan.seconds))
        report['peaks'] = best_rates(report['variants'].pop('peaks'))
    if 'layers' in parts:
        answers = measure.take_turns(
            plan.variants(neon_python=None)[:2], ['layers'], plan.seconds / 2
        )
        report['layers'] = {
            key: answer['layers'][-1]['layers'] if 'layers' in answer else answer
            for key, answer in answers.items()
        }
    if 'loading' in parts:
        report['loading'] = loading(plan)
    compared = ('torch-float32', 'torch-bf16', 'eager-float32')
    for part, values, name in (('batches', BATCHES, 'batch'), ('sides', SIDES, 'side')):
        if part in parts:
            fixed = {} if name == 'batch' else {'batch': min(plan.batch, 32)}
            report[part] = []
            for value in tqdm(values, desc=part, leave=False, disable=None):
                chosen = [
                    variant
                    for variant in plan.variants(**{**fixed, name: value}, neon_python=None)
                    if variant.key in compared
                ]
                figures = measure.take_turns(chosen, ['train'], plan.seconds / 5)
                report[part].append(
                    {name: value, 'batch': fixed.get('batch', value), 'variants': figures}
                )
    return report


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
    model, cost = models.build(plan.model, nn, (3, plan.side, plan.side))
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
