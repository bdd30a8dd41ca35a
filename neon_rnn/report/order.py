"""All networks of a data set, published against ours: their order, and their distance."""

import itertools
from collections.abc import Sequence

import numpy as np

from neon_rnn.published import Published
from neon_rnn.report.choose import Choice, Configuration
from neon_rnn.report.texts import cell, markdown_table, nothing_yet, number, place
from neon_rnn.support.wording import counted

#: Resamples of the bootstrap, and the fewest networks that it is computed for.
RESAMPLES, FEWEST = 2000, 4

#: A published row and its finished configuration.
Finished = tuple[Published, Configuration]


def order_table(choice: Choice) -> list[str]:
    """Return the table of the order on the likely published data, published against ours.

    The first line takes the configuration that each row shows. Every further line takes one data
    set, with the most epochs of each network on it.
    """
    shown = choice.closest_finished
    if len(shown) < FEWEST:
        return [
            f'{counted(len(shown), "network")} finished on this data; the order is computed '
            f'from {FEWEST} on.'
        ]
    lines = [_line('as shown above', shown)]
    sets = by_data_set(choice)
    for dataset, finished in sorted(sets.items()):
        if FEWEST <= len(finished) and len(sets) > 1:
            lines.append(_line(cell(dataset), finished))
    return markdown_table(
        "| data set | networks | Kendall's tau | 95% interval | p, no relation "
        '| pairs in the published order | in the opposite order | of these, with intervals apart |',
        '|---|--:|--:|:-:|--:|--:|--:|--:|',
        lines,
    )


def by_data_set(choice: Choice) -> dict[str, list[Finished]]:
    """Return data set -> its rows, each with its best configuration by the rules of the table."""
    sets: dict[str, dict[str, Finished]] = {}
    for each in choice.finished_close:
        if each.row:
            rows = sets.setdefault(each.first['dataset']['name'], {})
            rows.setdefault(each.row.name, (each.row, each))
    return {name: list(rows.values()) for name, rows in sets.items()}


def distance_table(choice: Choice) -> list[str]:
    """Return the table of how far each data set is from the published numbers."""
    lines = []
    for name, finished in by_data_set(choice).items():
        apart = [abs((each.figures.accuracy or 0) - row.accuracy) for row, each in finished]
        places = [place(row.accuracy, each.figures.interval or [0, 100]) for row, each in finished]
        lines.append(
            (
                sum(apart) / len(apart),
                [
                    cell(name),
                    ', '.join(row.row for row, _ in finished),
                    number(sum(apart) / len(apart)),
                    number(max(apart)),
                    f'{places.count("within")} of {len(places)}',
                ],
            )
        )
    return nothing_yet(
        [line for _, line in sorted(lines)],
        '| data set | networks | mean distance, points | largest | published within our interval |',
        '|---|---|--:|--:|--:|',
    )


def _line(name: str, finished: Sequence[Finished]) -> list[str]:
    """Return the line of some networks with their finished configurations."""
    theirs = np.array([row.accuracy for row, _ in finished])
    ours = np.array([each.figures.accuracy for _, each in finished], dtype=float)
    counts = np.array([each.figures.test_images for _, each in finished])
    tau, probability = kendall(theirs, ours)
    low, high = tau_interval(theirs, ours, counts)
    same = opposite = clear = 0
    for (one, first), (other, second) in itertools.combinations(finished, 2):
        product = (one.accuracy - other.accuracy) * (
            (first.figures.accuracy or 0) - (second.figures.accuracy or 0)
        )
        same += product > 0
        opposite += product < 0
        a, b = first.figures.interval or [0, 100], second.figures.interval or [0, 100]
        clear += product < 0 and (a[1] < b[0] or b[1] < a[0])
    return [
        name,
        str(len(finished)),
        f'{tau:.2f}'.replace('-', '−'),
        f'{low:.2f} to {high:.2f}'.replace('-', '−'),
        f'{probability:.3f}',
        str(same),
        str(opposite),
        str(clear),
    ]


def kendall(theirs: np.ndarray, ours: np.ndarray) -> tuple[float, float]:
    """Return Kendall's tau-b, and the p value under no relation (SciPy)."""
    from scipy.stats import kendalltau  # a second to load

    found = kendalltau(theirs, ours)
    return float(found.statistic), float(found.pvalue)


def tau_interval(theirs: np.ndarray, ours: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Return the 95% bootstrap interval of Kendall's tau.

    Each of `RESAMPLES` resamples takes our accuracies anew from the binomial distributions of their
    test images, and then networks with replacement.

    Parameters
    ----------
    theirs, ours : float (n,)
        Accuracies in per cent.
    counts : int (n,)
        Test images of ours.
    """
    random = np.random.RandomState(0)
    found = []
    for _ in range(RESAMPLES):
        chosen = random.randint(0, len(ours), len(ours))
        again = random.binomial(counts, ours / 100) / counts
        found.append(kendall(theirs[chosen], again[chosen])[0])
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return float(low), float(high)
