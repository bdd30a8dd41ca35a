"""The measurements: variants take turns, so that what else the machine does meets them alike."""
from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy
from tqdm import tqdm

from neon_rnn.bench.variants import Variant, Worker
from neon_rnn.errors import NeonRnnError

#: A variant that needs longer than this for a minibatch is measured once, without a warm-up.
SLOW = 20.0


def take_turns(variants: Sequence[Variant], requests: Sequence[str], seconds: float) -> dict[str, dict[str, Any]]:
    """Ask every variant for every request in turn, until each has had its time.

    Parameters
    ----------
    variants : sequence of Variant
    requests : sequence of str
        What `bench.worker` can do and times, such as ``train``.
    seconds : float
        Time for each variant and request.

    Returns
    -------
    dict
        Key of the variant -> ``label``, ``about``, ``peak_memory_gib``, and each request -> the list of its answers; or
        ``label`` and ``error`` for one that failed.
    """
    results: dict[str, dict[str, Any]] = {}
    workers: dict[str, Worker] = {}
    try:
        for variant in tqdm(variants, desc='starting', unit='variant', leave=False, disable=None):
            _attempt(results, workers, variant.key, variant.label, lambda variant=variant: Worker(variant))
        for request in requests:
            _turns(results, workers, request, seconds)
        for key in list(workers):
            results[key]['peak_memory_gib'] = workers.pop(key).close()
    finally:
        for worker in workers.values():
            worker.kill()
    return results


def _attempt(results, workers, key, label, start):
    """Start a worker, or note why not."""
    try:
        workers[key] = start()
        results[key] = {'label': label, 'about': workers[key].about}
    except NeonRnnError as error:
        results[key] = {'label': label, 'error': str(error)}


def _turns(results, workers, request, seconds):
    """One request to all workers, in turn."""
    spent = dict.fromkeys(workers, 0.0)
    with tqdm(total=len(workers) * seconds, desc=request, unit='s', leave=False, disable=None,
              bar_format='{desc}: {percentage:3.0f}%|{bar}| {elapsed}') as bar:
        for turn in range(10 ** 6):
            waiting = [key for key in spent if key in workers and spent[key] < seconds]
            if not waiting:
                break
            for key in waiting:
                started = time.monotonic()
                try:
                    answer = workers[key].ask(request)
                except NeonRnnError as error:
                    results[key]['error'] = str(error)
                    workers.pop(key).kill()
                    continue
                took = time.monotonic() - started
                # the first one warms up
                if turn > 0 or took > SLOW:
                    results[key].setdefault(request, []).append(answer)
                    spent[key] += took
                    bar.update(min(took, seconds - bar.n % seconds))


def rate(answers: Sequence[dict[str, Any]], batch: int) -> dict[str, Any]:
    """Images a second of a variant, as `spread`."""
    return spread([batch / answer['seconds'] for answer in answers])


def spread(values: Sequence[float]) -> dict[str, Any]:
    """``median``, ``low`` and ``high`` (10th and 90th percentile), ``count``."""
    low, high = numpy.percentile(values, [10, 90])
    return {'median': statistics.median(values), 'low': float(low), 'high': float(high), 'count': len(values)}


def ratio(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> float:
    """How many times faster: the median over the turns that both took part in."""
    return statistics.median(b['seconds'] / a['seconds'] for a, b in zip(ours, theirs, strict=False))
