"""The results of several runs as one set of figures."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from neon_rnn.report.collect import Run
from neon_rnn.runs.evaluation import wilson_interval


@dataclass(frozen=True)
class Figures:
    """The results of the runs of one configuration; None: there are none.

    Attributes
    ----------
    accuracy, spread
        Mean and sample standard deviation of the test accuracy, in per cent.
    interval
        Wilson 95% interval of the mean accuracy, in per cent.
    test_images
        Images of one evaluation.
    majority
        Accuracy of always naming the most frequent class, in per cent.
    balanced_accuracy
        Mean over the classes of their accuracies, in per cent.
    per_class
        Class name -> accuracy in per cent, None for a class without images.
    training_seconds, training_seconds_spread
        Mean and sample standard deviation of the training time.
    seconds_per_epoch
        Median over all epochs.
    epochs
        Epochs trained.
    confusion
        Confusion matrix, summed over the runs.
    """

    accuracy: float | None
    spread: float | None
    interval: list[float] | None
    test_images: int | None
    majority: float | None
    balanced_accuracy: float | None
    per_class: dict[str, float | None]
    training_seconds: float | None
    training_seconds_spread: float | None
    seconds_per_epoch: float | None
    epochs: int
    confusion: list[list[int]] | None


def figures(finished: Sequence[Run], runs: Sequence[Run]) -> Figures:
    """Summarise runs of one configuration.

    Parameters
    ----------
    finished
        The runs with an evaluation.
    runs
        All runs, of which the epochs count if none is finished.
    """
    finals = [run.record['final'] for run in finished]
    accuracy, spread = _mean_and_spread([100 * final['accuracy'] for final in finals])
    training, training_spread = _mean_and_spread(
        [run.record['training_seconds'] for run in finished]
    )
    seconds = [row['seconds'] for run in finished or runs for row in run.record['epochs']]
    count = finals[0]['count'] if finals else None
    matrix = [
        [sum(cells) for cells in zip(*rows, strict=True)]
        for rows in zip(*(final['confusion'] for final in finals), strict=True)
    ]
    names = finished[0].record['dataset']['class_names'] if finished else []
    per_class = {
        name: 100 * row[index] / sum(row) if sum(row) else None
        for index, (name, row) in enumerate(zip(names, matrix, strict=True))
    }
    known = [value for value in per_class.values() if value is not None]
    return Figures(
        accuracy=accuracy,
        spread=spread,
        interval=None if count is None or accuracy is None else _interval(accuracy, count),
        test_images=count,
        majority=100 * finals[0]['majority'] if finals else None,
        balanced_accuracy=statistics.fmean(known) if known else None,
        per_class=per_class,
        training_seconds=training,
        training_seconds_spread=training_spread,
        seconds_per_epoch=statistics.median(seconds) if seconds else None,
        epochs=max(len(run.record['epochs']) for run in finished or runs),
        confusion=matrix or None,
    )


def _interval(accuracy: float, count: int) -> list[float]:
    """Return the Wilson 95% interval, in per cent."""
    correct = min(accuracy / 100 * count, count)
    return [100 * bound for bound in wilson_interval(correct, count)]


def _mean_and_spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return mean and sample standard deviation; a single value has no spread."""
    if not values:
        return None, None
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
