"""Train the jobs of a plan, one process after another; a failure stops only its job."""

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
from typing import Any

from tqdm import tqdm

from neon_rnn.reproduce.estimate import duration
from neon_rnn.reproduce.jobs import Job
from neon_rnn.runs import evaluation, records
from neon_rnn.support import files, processes
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.wording import counted

_LOOK = 1.0  # seconds between two looks at a training's record
_TAIL = 4096  # bytes of a log that are read for its last line
#: Of Linux's prctl: the signal that a process gets when its parent dies.
_PR_SET_PDEATHSIG = 1
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == 'linux' else None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The end of a job: `text` says it to people, `failed` to the program."""

    job: Job
    failed: bool
    text: str


def execute(jobs: Iterable[Job], logs: Path, program: Sequence[str]) -> list[Outcome]:
    """Train what is waiting, one process after another; a failure does not stop the rest.

    Parameters
    ----------
    jobs
        Those that are done already, or cannot be done, are passed over.
    logs
        The folder that gets a log for each job.
    program
        The words before a job's arguments, see `processes.package_command`.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C, SIGTERM, or the terminal was closed. The training in progress has kept its
        checkpoint, and the same command goes on from it.
    """
    outcomes = []
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
            status, seconds = _train(job, program, log, bar, waiting[index + 1 :])
            outcome = _outcome(job, status, seconds, log)
            tqdm.write(f'{job.name}: {outcome.text}')
            sys.stdout.flush()
            outcomes.append(outcome)
    return outcomes


@contextmanager
def _interrupted_by(*signals: signal.Signals) -> Iterator[None]:
    """Treat these signals like Ctrl-C, except those that the caller ignores (nohup)."""
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
    job: Job, program: Sequence[str], log: Path, bar: tqdm, later: Sequence[Job]
) -> tuple[int, float]:
    """Run one training with its output in a log; return its exit status and its seconds."""
    started = time.monotonic()
    try:
        with log.open('a', encoding='utf-8') as output:
            output.write('$ neon_rnn {}\n'.format(' '.join(job.argv)))
            output.flush()
            # A session of its own: the terminal's Ctrl-C reaches this process alone, which passes
            # it on in order.
            process = subprocess.Popen(
                [*program, *job.argv],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=processes.child_environment(),
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
            try:
                status = None
                while status is None:
                    bar.set_description_str(_progress(job, time.monotonic() - started, later))
                    try:
                        status = process.wait(timeout=_LOOK)
                    except subprocess.TimeoutExpired:
                        continue
            except KeyboardInterrupt:
                # SIGTERM means the same to a training. It works in the background too, where
                # shells make programs ignore SIGINT.
                process.send_signal(signal.SIGTERM)
                process.wait()
                raise
    except OSError as error:
        raise files.write_error(str(log), error)
    if status == 130:
        raise KeyboardInterrupt
    return status, time.monotonic() - started


def _outcome(job: Job, status: int, seconds: float, log: Path) -> Outcome:
    """Return what became of a training that ended with `status`."""
    if status:
        ended = f'status {status}'
        if status < 0:
            memory = ', perhaps for memory' if -status == signal.SIGKILL else ''
            ended = f'killed by signal {-status}{memory}'
        said = last_line(log)
        return Outcome(
            job, True, f'failed after {duration(seconds)} ({ended}): {said} (log: {log})'
        )
    record = _record(job)
    if record is None or record['final'] is None:
        return Outcome(
            job, True, f'ended after {duration(seconds)} without a result in {job.folder}; {log}'
        )
    return Outcome(
        job, False, f'accuracy {record["final"]["accuracy"]:.1%} after {duration(seconds)}'
    )


def _end_with_parent() -> None:
    """Ask, in the new process, to be interrupted if the parent is killed."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _record(job: Job) -> dict[str, Any] | None:
    """Return the record of a job's run, or None while there is none that can be read."""
    try:
        return records.read_record(os.path.join(job.folder, records.RECORD))
    except NeonRnnError:
        return None


def _progress(job: Job, seconds: float, later: Sequence[Job]) -> str:
    """Return the last epoch of a training in progress, and the time left of all jobs."""
    record = _record(job)
    text = f'{job.name}: '
    if record is None or not record['epochs']:
        text += 'starting'
    else:
        last = record['epochs'][-1]
        text += f'{last["epoch"]} of {counted(job.epochs, "epoch")}, cost {last["cost"]:.4f}'
        if last['accuracy'] is not None:
            text += f', test accuracy {evaluation.percent(last["accuracy"])}'
    estimates = [each.seconds for each in (job, *later)]
    if None in estimates:
        return text
    left = max(0.0, (job.seconds or 0) - seconds) + sum(each.seconds or 0 for each in later)
    return f'about {duration(left)} left; {text}'


def last_line(log: Path) -> str:
    """Return the last line of a log that is not blank; of a progress bar, its last state."""
    with log.open('rb') as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        text = file.read().decode('utf-8', 'replace')
    lines = re.split('[\r\n]', text)
    return next((line.strip() for line in reversed(lines) if line.strip()), 'no output')
