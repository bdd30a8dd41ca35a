"""Estimate how long a training takes, from the records of earlier runs on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from neon_rnn import published
from neon_rnn.support import machine


def recorded_rate(records: Iterable[dict[str, Any]], wanted: Mapping[str, Any]) -> float | None:
    """Return the seconds per image of earlier runs on this machine, with as many cores.

    Parameters
    ----------
    records
        Run records.
    wanted
        What a run has to agree in: ``model``, ``engine``, ``backend``, ``precision``,
        ``batch_size`` and ``shape`` (C, H, W), as records name them; ``variant``, as
        `published.variant` describes the options.

    Returns
    -------
    float or None
        The last epoch of the fastest such run; None if there is none.
    """
    here = {'cpu': machine.cpu_model(), 'cores': machine.cores()}
    rates = [
        record['epochs'][-1]['seconds'] / sum(record['dataset']['counts']['train'].values())
        for record in records
        if record['epochs']
        and _setup(record) == dict(wanted, shape=list(wanted['shape']))
        and here.items() <= _last_machine(record).items()
    ]
    return min(rates, default=None)


def _setup(record: dict[str, Any]) -> dict[str, Any]:
    """Return what decides the speed of a run on one machine."""
    return {
        **{name: record[name] for name in ('model', 'engine', 'backend', 'precision')},
        'variant': published.variant(record['options']),
        'batch_size': record['hyperparameters']['batch_size'],
        'shape': record['dataset']['shape'],
    }


def _last_machine(record: dict[str, Any]) -> dict[str, Any]:
    """Return the machine that a run was on last: a resumption may have moved it."""
    return [record, *record['resumed']][-1].get('machine', record['machine'])


def duration(seconds: float) -> str:
    """Return seconds as people say them: ``'42 s'``, ``'13 min'``, ``'5.2 h'``, ``'3.1 days'``."""
    if seconds < 100:
        return f'{seconds:.0f} s'
    if seconds < 100 * 60:
        return f'{seconds / 60:.0f} min'
    return f'{seconds / 3600:.1f} h' if seconds < 72 * 3600 else f'{seconds / 86400:.1f} days'
