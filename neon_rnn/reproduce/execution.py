"""Doing what there is to do: one process after another, with progress; what fails does not stop the rest."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from neon_rnn.reproduce.estimate import duration
from neon_rnn.reproduce.jobs import Job
from neon_rnn.runs import records
from neon_rnn.support import files, processes
from neon_rnn.support.errors import NeonRnnError

_LOOK = 1.0  # seconds between two looks at a training's log
_TAIL = 4096  # bytes of a log that are read for its last line
#: Of Linux's prctl: the signal that a process gets when its parent dies.
_PR_SET_PDEATHSIG = 1
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == 'linux' else None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a job ended: `text` for people, `failed` if it did."""

    job: Job
    failed: bool
    text: str


def execute(jobs: Iterable[Job], runs: Path, logs: Path, program: Sequence[str]) -> list[Outcome]:
    """Run what there is to do, one process after another; a failure does not stop the rest.

    Parameters
    ----------
    jobs
        Those that are done already, or cannot be done, are passed over.
    runs
        The folder of runs, for the results.
    program
        What is run with a job's arguments, such as ``python -m neon_rnn``.
    logs
        The folder that gets a log for each job.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C, SIGTERM, or the terminal was closed: the training in progress has kept its checkpoint, and the same
        command goes on from it.
    """
    outcomes = []
    expected = taken = 0.0  # seconds of the trainings that have ended well
    waiting = [job for job in jobs if job.waiting]
    files.make_folder(logs)
    with (
        _interrupted_by(signal.SIGTERM, signal.SIGHUP),
        tqdm(waiting, disable=None, bar_format='{n_fmt}/{total_fmt} |{bar:10}| {desc}') as bar,
    ):
        for index, job in enumerate(bar):
            log = logs / (job.name + '.log')
            if bar.disable:
                print(f'{job.name}: run {index + 1} of {len(waiting)}, log: {log}', flush=True)
            pace = taken / expected if expected else 1.0
            status, seconds = _train(job, program, log, bar, waiting[index + 1 :], pace)
            outcome = _outcome(job, status, seconds, runs, log)
            if job.seconds and not outcome.failed:
                expected, taken = expected + job.seconds, taken + seconds
            tqdm.write(f'{job.name}: {outcome.text}')
            sys.stdout.flush()
            outcomes.append(outcome)
    return outcomes


@contextmanager
def _interrupted_by(*signals: signal.Signals) -> Iterator[None]:
    """Let these signals do what Ctrl-C does, except those that the caller ignores (nohup)."""
    before = {number: signal.getsignal(number) for number in signals}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _train(
    job: Job, program: Sequence[str], log: Path, bar: tqdm, later: list[Job], pace: float
) -> tuple[int, float]:
    """One training, its output in a log: its exit status and the seconds it took."""
    started = time.monotonic()
    try:
        with log.open('a', encoding='utf-8') as output:
            output.write('$ neon_rnn {}\n'.format(' '.join(job.argv)))
            output.flush()
            # A session of its own: the terminal's Ctrl-C reaches this process alone, which passes it on in order.
            process = subprocess.Popen(
                [*program, *job.argv],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=processes.child_environment(),
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
            try:
                while True:
                    bar.set_description_str(
                        _progress(job, log, time.monotonic() - started, later, pace)
                    )
                    try:
                        status = process.wait(timeout=_LOOK)
                        break
                    except subprocess.TimeoutExpired:
                        continue
            except KeyboardInterrupt:
                # SIGTERM means the same to a training, and works in the background too, where shells make programs
                # deaf to SIGINT.
                process.send_signal(signal.SIGTERM)
                process.wait()
                raise
    except OSError as error:
        raise files.write_error(str(log), error)
    if status == 130:
        raise KeyboardInterrupt
    return status, time.monotonic() - started


def _outcome(job: Job, status: int, seconds: float, runs: Path, log: Path) -> Outcome:
    """What became of a training that ended with `status`."""
    if status:
        signalled = f'status {status}'
        if status < 0:
            signalled = f'killed by signal {-status}' + (
                ', perhaps for memory' if -status == signal.SIGKILL else ''
            )
        return Outcome(
            job,
            True,
            f'failed after {duration(seconds)} ({signalled}): {last_line(log)} (log: {log})',
        )
    try:
        return Outcome(job, False, f'accuracy {_accuracy(log, runs):.1%} after {duration(seconds)}')
    except NeonRnnError as error:
        return Outcome(
            job, True, f'ended without a result after {duration(seconds)}: {error} (log: {log})'
        )


def _end_with_parent() -> None:
    """In the new process: be interrupted if this one is killed, so that no training goes on that nobody waits for."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _progress(job: Job, log: Path, seconds: float, later: list[Job], pace: float) -> str:
    """How long all that is left will take, where that is known, and what the training said last.

    `pace` is what the trainings before took, as a multiple of what was estimated.
    """
    said = last_line(log)
    text = f'{job.name}: ' + (
        ', '.join(re.split(' {2,}', said)[:3]) if said.startswith('epoch') else 'starting'
    )
    estimates = [each.seconds for each in (job, *later)]
    if None in estimates:
        return text
    left = max(0.0, (job.seconds or 0) * pace - seconds) + pace * sum(
        each.seconds or 0 for each in later
    )
    return f'about {duration(left)} left; {text}'


def last_line(log: Path) -> str:
    """The last line of a log that says something; of a progress bar, what it showed last."""
    with log.open('rb') as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        text = file.read().decode('utf-8', 'replace')
    return next(
        (line.strip() for line in reversed(re.split('[\r\n]', text)) if line.strip()), 'no output'
    )


def _accuracy(log: Path, runs: Path) -> float:
    """The accuracy in the record that `train` names at the end of its output (in a container by another way).

    Raises
    ------
    NeonRnnError
        There is no such line, no such record, or no result in it.
    """
    folders = re.findall(
        '^record and checkpoint: (.+)$', log.read_text(encoding='utf-8', errors='replace'), re.M
    )
    if not folders:
        raise NeonRnnError('it named no record')
    folder = runs / Path(folders[-1]).name
    final = records.read_record(folder / records.RECORD)['final']
    if final is None:
        raise NeonRnnError(f'{folder}: the record has no result')
    return final['accuracy']
