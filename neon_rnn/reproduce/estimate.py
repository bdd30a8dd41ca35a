"""How long a training will take: from the records of earlier runs on this machine, or from a few steps measured now."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.variants import Variant, Worker
from neon_rnn.support import machine

#: Images of the first minibatches measured: even the largest network takes seconds for so many.
_FEW = 16
#: A step of the whole batch size that would take longer (seconds) is not measured but scaled up from the few.
_LONG_STEP = 5.0


def recorded_rate(
    records: Iterable[dict[str, Any]],
    row: str,
    engine: str,
    backend: str,
    precision: str,
    batch_size: int,
    shape: Sequence[int],
) -> float | None:
    """Seconds an image in earlier runs of a row on this machine, with as many cores.

    Parameters
    ----------
    records
        Run records.
    row, engine, backend, precision, batch_size, shape
        What the runs have to agree in, as records name it; `shape` is (C, H, W).

    Returns
    -------
    float or None
        Of the fastest run's last epoch; None without any.
    """
    here = {'cpu': machine.cpu_model(), 'cores': machine.cores()}
    rates = [
        record['epochs'][-1]['seconds'] / sum(record['dataset']['counts']['train'].values())
        for record in records
        if record['epochs']
        and record['model'] == row
        and record['engine'] == engine
        and record['backend'] == backend
        and record['precision'] == precision
        and record['dataset']['shape'] == list(shape)
        and record['hyperparameters']['batch_size'] == batch_size
        and here.items()
        <= ([record] + record['resumed'])[-1].get('machine', record['machine']).items()
    ]
    return min(rates, default=None)


def measured_rate(
    row: str,
    engine: str,
    backend: str,
    precision: str,
    batch_size: int,
    shape: Sequence[int],
    python: str = sys.executable,
) -> float:
    """Seconds an image, from a few steps in a process of its own: small minibatches, then whole ones if those are quick.

    Raises
    ------
    NeonRnnError
        The network cannot be trained so; names the row and says why.
    """
    spec = {
        'kind': 'engine',
        'engine': engine,
        'backend': backend,
        'precision': precision,
        'threads': None,
        'model': row,
        'side': shape[1],
    }
    few = min(batch_size, _FEW)
    rate = _step_seconds(row, dict(spec, batch=few), python) / few
    if few < batch_size and rate * batch_size < _LONG_STEP:
        rate = _step_seconds(row, dict(spec, batch=batch_size), python) / batch_size
    return rate


def _step_seconds(row: str, spec: dict[str, Any], python: str) -> float:
    """The quicker of two steps after a first one, which allocates memory and chooses kernels."""
    worker = Worker(Variant(row, row, spec, python))
    try:
        return min([worker.ask('train')['seconds'] for _ in range(3)][1:])
    finally:
        worker.kill()


def duration(seconds: float) -> str:
    """Seconds as people say them: ``'42 s'``, ``'13 min'``, ``'5.2 h'``, ``'3.1 days'``."""
    if seconds < 100:
        return f'{seconds:.0f} s'
    if seconds < 100 * 60:
        return f'{seconds / 60:.0f} min'
    return f'{seconds / 3600:.1f} h' if seconds < 72 * 3600 else f'{seconds / 86400:.1f} days'
