"""All files of the report: made from a folder of runs, written or compared."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from neon_rnn.report import page, plots, reproduction, table, texts
from neon_rnn.report.choose import Choice, choose
from neon_rnn.report.collect import collect
from neon_rnn.support.files import atomic_file, make_folder

#: Greatest difference of a pixel, of 255, that `differences` accepts: processors round differently.
PIXEL_TOLERANCE = 8
#: Pages of the repository, beside the folder of results, that hold tables.
PAGES = ('README.md', 'docs/reproduction.md', 'docs/lecture.md')


def build(runs: Path, out: Path, *others: Path) -> tuple[Choice, dict[str, bytes]]:
    """Make the report in memory.

    Parameters
    ----------
    runs
        The folder of runs.
    out
        The folder of the report; its links go from there to `runs`. If `runs` lies in it, the
        tables in `PAGES` beside it are replaced too.
    others
        More folders of runs, shown beside those of `runs`; then no page is replaced.

    Returns
    -------
    choice, files
        The runs that the report shows, and name -> content of its files.

    Raises
    ------
    UsageError
        There is no folder of runs.
    """
    choice = choose(collect(runs, *others))
    data = table.table_data(choice)
    way = os.path.relpath(runs.resolve(), out.resolve()).replace(os.sep, '/')
    files = {
        'TABLE.md': table.to_markdown(data, way).encode(),
        'table.csv': table.to_csv(data).encode(),
        'table.json': table.to_json(data).encode(),
        'report.html': page.page(choice, data, way, runs).encode(),
    }
    if runs.resolve() == (out / 'runs').resolve() and not others:
        files |= _pages(choice, out)
    return choice, files | plots.all_plots(choice)


def _pages(choice: Choice, out: Path) -> dict[str, bytes]:
    """Return the pages of the repository around `out`, with their tables replaced."""
    files = {}
    for name in PAGES:
        path = out / '..' / name
        if path.is_file():
            text = path.read_text(encoding='utf-8')
            files[f'../{name}'] = reproduction.filled(
                text, str(path), choice, out / 'cross'
            ).encode()
    return files


def write(files: dict[str, bytes], out: Path) -> None:
    """Write the files that differ, each atomically."""
    for name, content in files.items():
        path = out / name
        make_folder(path.parent)
        if not path.is_file() or path.read_bytes() != content:
            with atomic_file(path) as file:
                file.write(content)


def differences(files: dict[str, bytes], out: Path) -> list[str]:
    """Say how the files in a folder differ from what they should be; empty if they do not.

    Text must be equal byte for byte. Pictures may differ in their compression and by
    `PIXEL_TOLERANCE`.
    """
    found = []
    for name, content in files.items():
        path = out / name
        if not path.is_file():
            found.append(f'{path} is missing')
        elif (old := path.read_bytes()) != content:
            if name.endswith('.png'):
                if not _same_picture(old, content):
                    found.append(f'{path} shows something else')
            else:
                number = next(
                    (
                        number
                        for number, (before, after) in enumerate(
                            zip(old.split(b'\n'), content.split(b'\n'), strict=False), 1
                        )
                        if before != after
                    ),
                    None,
                )
                found.append(
                    f'{path} differs' + (f' from line {number} on' if number else ' at its end')
                )
    return found


def _same_picture(old: bytes, new: bytes) -> bool:
    """Return True if two PNG files show the same, except for rounding."""
    try:
        with Image.open(io.BytesIO(old)) as first, Image.open(io.BytesIO(new)) as second:
            if first.size != second.size or first.mode != second.mode:
                return False
            before, after = np.asarray(first, dtype=np.int16), np.asarray(second, dtype=np.int16)
    except OSError:
        return False
    return int(np.abs(before - after).max(initial=0)) <= PIXEL_TOLERANCE


def summary(choice: Choice) -> str:
    """Return the table as lines for a terminal: the rows, those beside them, the user's others."""
    data = table.table_data(choice)
    shown = data['rows'] + data['beside']
    own = data['others'][: sum(each.is_own for each in choice.others)]
    width = max(20, *(len(row['row']) for row in shown + own)) + 2
    lines = [f'{"row":<{width}}{"published":>10}{"ours":>16}{"difference":>12}  status']
    for heading, rows in (('', shown), ('Your further runs:', own)):
        lines += ['', heading] if heading and rows else []
        lines += [
            f'{row["row"]:<{width}}{texts.number(row["published_accuracy"]):>10}'
            f'{texts.accuracy_text(row):>16}{texts.signed(row["difference"]):>12}  {row["status"]}'
            for row in rows
        ]
    return '\n'.join(lines)
