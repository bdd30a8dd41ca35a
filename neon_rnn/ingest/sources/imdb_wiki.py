"""Import IMDB-WIKI (460,723 and 62,328 faces), from imdb_crop and wiki_crop, folders or archives; can download them.

The usual filter: a face, no second face, face score, age 0 to 100, gender known. People, by name, are kept on one
side of the split. WIKI leaves 38,138 photographs, 28,601 of men."""

import argparse
import datetime
import os
import sys
import unicodedata
from pathlib import Path

import numpy as np

from neon_rnn.ingest import distribution, download
from neon_rnn.ingest.output import check_out
from neon_rnn.ingest.source import Dropped, Listing, Photograph
from neon_rnn.support.errors import NeonRnnError, UsageError

NAME = 'imdb-wiki'
CARD = {
    'origin': 'IMDB-WIKI, Rothe, Timofte and Van Gool, IJCV 2018',
    'terms': 'academic research only; copyright with the owners of the photographs',
    'label_meaning': 'from the profile of the person: 0 female, 1 male; some photographs show somebody else',
}
URL = 'https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/static/'
DATABASES = ('imdb', 'wiki')
NO_FACE = 'no face found'
SECOND_FACE = 'a second face'
LOW_SCORE = 'face score below the limit'
AGE = 'age not in 0..100'
UNKNOWN = 'gender unknown'
_FIELDS = ('dob', 'photo_taken', 'full_path', 'gender', 'name', 'face_score', 'second_face_score')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``data imdb-wiki``."""
    distribution.add_arguments(parser, required=False)
    parser.add_argument(
        '--download',
        choices=(*DATABASES, 'both'),
        help='fetch imdb_crop.tar (7 GB), wiki_crop.tar '
        '(1 GB) or both; an interrupted download goes on where it was',
    )
    parser.add_argument(
        '--downloads',
        default='data/downloads',
        metavar='DIR',
        help='where (default data/downloads)',
    )
    parser.add_argument('--url', default=URL, help=argparse.SUPPRESS)
    parser.add_argument(
        '--face-score', type=float, default=1.0, metavar='S', help='lowest face score (default 1)'
    )


def run(arguments: argparse.Namespace) -> None:
    """Download where asked to, then import."""
    if bool(arguments.download) == bool(arguments.source):
        raise UsageError(
            'data imdb-wiki needs either --source PATH or --download wiki, imdb or both.'
        )
    check_out(arguments)  # before gigabytes are fetched
    if arguments.download:
        names = DATABASES if arguments.download == 'both' else (arguments.download,)
        arguments.source = [
            str(download.fetch(f'{arguments.url}{name}_crop.tar', Path(arguments.downloads)))
            for name in names
        ]
    distribution.run(sys.modules[__name__], arguments)


def listing(folders: list[Path], arguments: argparse.Namespace, dropped: Dropped) -> Listing:
    """The rows of imdb.mat and wiki.mat, as far as they are there, through the filters in their order."""
    found = {name: distribution.find(folders, f'{name}.mat') for name in DATABASES}
    files = {name: path for name, path in found.items() if path is not None}
    if not files:
        distribution.need(folders, 'imdb.mat', 'wiki.mat')
    root = Path(os.path.commonpath([path.parent.resolve() for path in files.values()]))
    dropped.expect(NO_FACE, SECOND_FACE, LOW_SCORE, AGE, UNKNOWN)
    photographs = []
    for name, path in files.items():
        table = read_metadata(path, name)
        age = ages(table['dob'], table['photo_taken'])
        prefix = path.parent.resolve().relative_to(root)
        for index, image in enumerate(table['full_path']):
            score, second, gender = (
                table[field][index] for field in ('face_score', 'second_face_score', 'gender')
            )
            if np.isnan(score) or score == -np.inf:
                dropped.add(NO_FACE, image)
            elif not np.isnan(second):
                dropped.add(SECOND_FACE, image)
            elif score < arguments.face_score:
                dropped.add(LOW_SCORE, image, f'{score:.3f}')
            elif not 0 <= age[index] <= 100:
                dropped.add(AGE, image, str(age[index]))
            elif gender not in (0, 1):
                dropped.add(UNKNOWN, image)
            else:
                person = (
                    _person(str(table['name'][index])) or f'{name} {Path(image).name.split("_")[0]}'
                )
                photographs.append(Photograph(str(prefix / image), int(gender), person))
    return Listing(root, photographs, ['female', 'male'])


def read_metadata(path: Path, database: str) -> dict[str, np.ndarray]:
    """The fields of a .mat file, each (N,): numbers float64, texts str.

    Raises
    ------
    NeonRnnError
        It is no such file, or damaged.
    """
    import scipy.io  # here: it takes a second to import and no other source needs it

    try:
        struct = scipy.io.loadmat(path, variable_names=[database])[database][0, 0]
        table = {}
        for field in _FIELDS:
            values = struct[field].ravel()
            table[field] = (
                np.array([str(value.ravel()[0]) if np.size(value) else '' for value in values])
                if values.dtype == object
                else values.astype(np.float64)
            )
    except Exception as error:  # scipy raises many types on a damaged file
        raise NeonRnnError(
            f'{path}: cannot be read as the metadata of {database} ({type(error).__name__}: {error}). '
            'Get it again.'
        ) from error
    lengths = {field: len(values) for field, values in table.items()}
    if len(set(lengths.values())) != 1:
        raise NeonRnnError(f'{path}: its fields differ in length: {lengths}. Get it again.')
    return table


def ages(dob: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Years between birth (a MATLAB day number, which counts from year 0: 366 days more than Python's) and the year in
    which the photograph was taken, in the middle of it; days <= 0 count as the year 1."""
    born = [
        datetime.date.fromordinal(int(min(max(day - 366, 1), 3652059)) if day == day else 1)
        for day in dob
    ]
    return np.array(
        [year - date.year - (date.month >= 7) for date, year in zip(born, taken, strict=True)]
    )


def _person(name: str) -> str:
    """A name as an identifier: IMDB and WIKI write the same person with other accents and spaces."""
    plain = unicodedata.normalize('NFKD', name)
    return ' '.join(
        ''.join(letter for letter in plain if not unicodedata.combining(letter)).casefold().split()
    )
