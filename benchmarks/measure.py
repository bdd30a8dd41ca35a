"""Measure variants in turn, so that other work on the machine slows all of them alike."""

from __future__ import annotations

import collections
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy
from tqdm import tqdm

from benchmarks import reference
from benchmarks.variants import Variant, Worker
from neon_rnn.support import machine
from neon_rnn.support.errors import NeonRnnError

#: A variant that needs longer than this for a minibatch is measured once, without a warm-up.
SLOW = 20.0
#: The longest turn, in seconds. In its turn a variant begins minibatches until this time is over.
LONGEST_TURN = 4.0
#: If variants hold more than this share of the machine's memory together, they rest between turns:
#: they give free memory back to the system.
FULL = 0.7


def take_turns(
    variants: Sequence[Variant], requests: Sequence[str], seconds: float
) -> dict[str, dict[str, Any]]:
    """Ask every variant for every request in turns of equal time, until each has had its time.

    Parameters
    ----------
    variants : sequence of Variant
    requests : sequence of str
        Requests that `benchmarks.worker` answers with a time, such as ``train``.
    seconds : float
        Time for each variant and request. A turn takes a quarter of it at most, or one minibatch.
        The first turn warms up and is not counted. It has at least two minibatches, because memory
        still grows in the second one.

    Returns
    -------
    dict
        Key of the variant -> ``label``, ``about``, ``peak_memory_gib``, and each request -> the
        list of its answers, one for each minibatch, with the number of its ``turn``; ``check``:
        its differences from the reference; ``rests``: whether it gave free memory back between
        turns. A variant that failed, or whose differences are too large, has ``label`` and
        ``error``.
    """
    results: dict[str, dict[str, Any]] = {}
    workers: dict[str, Worker] = {}
    held = 0.0
    try:
        for variant in tqdm(variants, desc='starting', unit='variant', leave=False, disable=None):
            results[variant.key] = {'label': variant.label}
            try:
                worker = workers[variant.key] = Worker(variant)
                results[variant.key]['about'] = worker.about
                if 'reference' in variant.spec:
                    results[variant.key]['check'] = checked(worker)
                held += worker.ask('rest')['held_gib']
            except NeonRnnError as error:
                results[variant.key]['error'] = str(error)
                if variant.key in workers:
                    workers.pop(variant.key).kill()
        able = {variant.key: variant.requests for variant in variants}
        memory = machine.memory_gib()
        rests = memory is not None and held > FULL * memory
        for key in workers:
            results[key]['rests'] = rests
        for request in requests:
            asked = {key: worker for key, worker in workers.items() if request in able[key]}
            ask_in_turns(results, asked, request, seconds, rests)
            workers = {
                key: worker
                for key, worker in workers.items()
                if key in asked or request not in able[key]
            }
        for key in list(workers):
            try:
                results[key]['peak_memory_gib'] = workers[key].close()
                del workers[key]
            except NeonRnnError as error:
                results[key]['error'] = str(error)
    finally:
        for worker in workers.values():
            worker.kill()
    return results


def checked(worker: Worker) -> dict[str, float]:
    """Return the differences of a variant from its reference.

    Raises
    ------
    NeonRnnError
        They are too large: it computes something else, and its speed would mean nothing.
    """
    variant = worker.variant
    differences = worker.ask('check')['differences']
    wrong = reference.problem(
        differences, variant.spec['precision'], variant.spec.get('channels_last', False)
    )
    if wrong:
        raise NeonRnnError(f'{variant.label}: {wrong}')
    return differences


def ask_in_turns(
    results: dict[str, dict[str, Any]],
    workers: dict[str, Worker],
    request: str,
    seconds: float,
    rests: bool = False,
) -> None:
    """Put one request to all workers in turn, until each has had its time.

    Parameters
    ----------
    results : dict
        As `take_turns` returns it; the answers are added.
    workers : dict
        Key of the variant -> worker; a worker that fails is removed.
    request : str
    seconds : float
    rests : bool
        They rest after each turn. Its first minibatch fetches the memory back and does not count.
    """
    longest = min(seconds / 4, LONGEST_TURN)
    spent = dict.fromkeys(workers, 0.0)
    with tqdm(
        total=len(workers) * seconds,
        desc=request,
        unit='s',
        leave=False,
        disable=None,
        bar_format='{desc}: {percentage:3.0f}%|{bar}| {elapsed}',
    ) as bar:
        for turn in range(10**6):
            waiting = [key for key in spent if key in workers and spent[key] < seconds]
            if not waiting:
                break
            for key in waiting:
                try:
                    least = 2 if turn == 0 or rests else 1
                    answers, took = _turn(workers[key], request, longest, least)
                    if rests:
                        workers[key].ask('rest')
                        answers = answers[1:] or answers
                except NeonRnnError as error:
                    results[key]['error'] = str(error)
                    workers.pop(key).kill()
                    continue
                # The first turn warms up.
                if turn > 0 or len(answers) == 1 and took > SLOW:
                    results[key].setdefault(request, []).extend(
                        dict(answer, turn=turn) for answer in answers
                    )
                    spent[key] += took
                    bar.update(min(took, seconds - bar.n % seconds))


def _turn(
    worker: Worker, request: str, longest: float, least: int
) -> tuple[list[dict[str, Any]], float]:
    """Return the answers of one turn and its seconds.

    At least `least` answers, unless they are slow.
    """
    started = time.monotonic()
    answers: list[dict[str, Any]] = []
    took = 0.0
    while not answers or took < longest or (len(answers) < least and took < SLOW):
        answers.append(worker.ask(request))
        took = time.monotonic() - started
    return answers, took


def rate(answers: Sequence[dict[str, Any]], batch: int) -> dict[str, Any]:
    """Return the images per second of a variant, as `spread`."""
    return spread([batch / answer['seconds'] for answer in answers])


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return ``median``, ``low`` and ``high`` (10th and 90th percentile), ``count``."""
    low, high = numpy.percentile(values, [10, 90])
    return {
        'median': statistics.median(values),
        'low': float(low),
        'high': float(high),
        'count': len(values),
    }


def ratio(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> float:
    """Return how many times faster we are.

    The median over the turns that both took part in; if there are none, the ratio of the medians.
    """
    ours_by_turn, theirs_by_turn = _by_turn(ours), _by_turn(theirs)
    shared = ours_by_turn.keys() & theirs_by_turn.keys()
    if not shared:
        return statistics.median(theirs_by_turn.values()) / statistics.median(ours_by_turn.values())
    return statistics.median(theirs_by_turn[turn] / ours_by_turn[turn] for turn in shared)


def _by_turn(answers: Sequence[dict[str, Any]]) -> dict[int, float]:
    """Return turn -> mean seconds of its minibatches."""
    turns: dict[int, list[float]] = collections.defaultdict(list)
    for answer in answers:
        turns[answer['turn']].append(answer['seconds'])
    return {turn: statistics.mean(seconds) for turn, seconds in turns.items()}
