"""Import IMDB-WIKI (460,723 and 62,328 faces), from imdb_crop and wiki_crop, folders or archives.

It can download them. The usual filters keep photographs with a face, without a second face, with
a high face score, an age of 0 to 100 and a known gender. People, by name, are kept in one part of
the split. WIKI leaves 38,138 photographs, 28,601 of men."""

import argparse
import datetime
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neon_rnn.ingest import distribution, download
from neon_rnn.ingest.output import check_out
from neon_rnn.ingest.settings import ImportSettings
from neon_rnn.ingest.source import Dropped, Listing, Photograph
from neon_rnn.ingest.workers import isolated
from neon_rnn.support.errors import NeonRnnError, UsageError

CARD = {
    'source': 'imdb-wiki',
    'origin': 'IMDB-WIKI, Rothe, Timofte and Van Gool, IJCV 2018',
    'terms': 'academic research only; copyright with the owners of the photographs',
    'label_meaning': 'from the profile of the person: 0 female, 1 male; some photographs show '
    'somebody else',
}
URL = 'https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/static/'
DATABASES = ('imdb', 'wiki')
NO_FACE = 'no face found'
SECOND_FACE = 'a second face'
LOW_SCORE = 'face score below the limit'
AGE = 'age not in 0..100'
UNKNOWN = 'gender unknown'
#: No path or name is longer.
_MAX_TEXT = 1000
_FIELDS = ('dob', 'photo_taken', 'full_path', 'gender', 'name', 'face_score', 'second_face_score')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``data imdb-wiki``."""
    distribution.add_arguments(parser, required=False)
    parser.add_argument(
        '--download',
        choices=(*DATABASES, 'both'),
        help='fetch imdb_crop.tar (7 GB), wiki_crop.tar (1 GB) or both; '
        'an interrupted download continues where it was',
    )
    parser.add_argument(
        '--downloads',
        default='data/downloads',
        metavar='DIR',
        help='where to keep the archives (default data/downloads)',
    )
    parser.add_argument('--url', default=URL, help=argparse.SUPPRESS)
    parser.add_argument(
        '--face-score', type=float, default=1.0, metavar='S', help='lowest face score (default 1)'
    )
    parser.add_argument(
        '--keep-second-faces', action='store_true', help='keep photographs with a second face'
    )
    parser.add_argument(
        '--keep-faceless',
        action='store_true',
        help='keep photographs without a face; they have no face score',
    )


def run(arguments: argparse.Namespace) -> None:
    """Download if asked to, then import, as the command line says."""
    if bool(arguments.download) == bool(arguments.source):
        raise UsageError(
            'data imdb-wiki needs either --source PATH or --download wiki, imdb or both.'
        )
    settings, paths = ImportSettings.of(arguments), arguments.source
    check_out(settings.out, settings.force)  # before gigabytes are fetched
    if arguments.download:
        names = DATABASES if arguments.download == 'both' else (arguments.download,)
        paths = [
            download.fetch(f'{arguments.url}{name}_crop.tar', Path(arguments.downloads))
            for name in names
        ]
    import_imdb_wiki(
        paths,
        settings,
        arguments.face_score,
        arguments.keep_second_faces,
        arguments.keep_faceless,
    )


def import_imdb_wiki(
    paths: Sequence[str | os.PathLike],
    settings: ImportSettings,
    face_score: float = 1.0,
    keep_second_faces: bool = False,
    keep_faceless: bool = False,
) -> dict:
    """Import the distributions in `paths`.

    Parameters
    ----------
    paths : sequence of path
        Folders and archives with imdb.mat, wiki.mat or both.
    settings : ImportSettings
    face_score : float
        Lowest score of the face detector.
    keep_second_faces, keep_faceless : bool
        Keep photographs that the usual filters drop.

    Returns
    -------
    dict
        ``dataset.json``.
    """

    def listed(found: list[Path], dropped: Dropped) -> Listing:
        return listing(found, dropped, face_score, keep_second_faces, keep_faceless)

    return distribution.import_distribution(CARD, listed, paths, settings)


def listing(
    paths: list[Path],
    dropped: Dropped,
    face_score: float = 1.0,
    keep_second_faces: bool = False,
    keep_faceless: bool = False,
) -> Listing:
    """List the rows of imdb.mat and wiki.mat, if they are there, after the filters."""
    found = {name: distribution.find(paths, f'{name}.mat') for name in DATABASES}
    files = {name: path for name, path in found.items() if path is not None}
    if not files:
        distribution.need(paths, 'imdb.mat', 'wiki.mat')
    tables = {name: read_metadata(path, name) for name, path in files.items()}
    roots = {
        name: distribution.photograph_root(
            [path.parent, *paths], tables[name]['full_path'].tolist(), path.parent.name
        ).resolve()
        for name, path in files.items()
    }
    root = Path(os.path.commonpath(roots.values()))
    dropped.expect(NO_FACE, SECOND_FACE, LOW_SCORE, AGE, UNKNOWN)
    photographs = []
    for name, table in tables.items():
        age = ages(table['dob'], table['photo_taken'])
        prefix = roots[name].relative_to(root)
        for index, image in enumerate(table['full_path']):
            score, second, gender = (
                table[field][index] for field in ('face_score', 'second_face_score', 'gender')
            )
            faceless = np.isnan(score) or score == -np.inf
            if faceless and not keep_faceless:
                dropped.add(NO_FACE, image)
            elif not np.isnan(second) and not keep_second_faces:
                dropped.add(SECOND_FACE, image)
            elif score < face_score and not faceless:
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
    """Return the fields of a .mat file, each (N,): numbers as float64, texts as str.

    Raises
    ------
    NeonRnnError
        It is not such a file, or it is damaged.
    """
    if not path.is_file():  # reading a pipe or a device may never end
        raise NeonRnnError(f'{path}: is not a regular file.')
    try:
        # A flipped bit can crash scipy's reader.
        table = isolated(_read_table, path, database)
    except NotImplementedError as error:
        raise NeonRnnError(
            f'{path}: is a MATLAB 7.3 file, which is not the original {database}.mat. Get the '
            "original, or save it in MATLAB with the option '-v7'."
        ) from error
    except Exception as error:  # scipy raises many types on a damaged file
        raise NeonRnnError(
            f'{path}: cannot be read as the metadata of {database} ({type(error).__name__}: '
            f'{error}). Get it again.'
        ) from error
    lengths = {field: len(values) for field, values in table.items()}
    if len(set(lengths.values())) != 1:
        raise NeonRnnError(f'{path}: its fields differ in length: {lengths}. Get it again.')
    return table


def _read_table(path: Path, database: str) -> dict[str, np.ndarray]:
    """Return the fields as `read_metadata` does; raise an error of any type on a damaged file."""
    import scipy.io  # here: it takes a second to import and no other source needs it

    struct = scipy.io.loadmat(path, variable_names=[database])[database][0, 0]
    return {field: _column(struct[field]) for field in _FIELDS}


def _column(values: np.ndarray) -> np.ndarray:
    """Return a field as (N,): a row of numbers, a cell array of texts or a matrix of characters."""
    values = values.ravel()
    if values.dtype.kind == 'U':
        return np.char.rstrip(values)
    if values.dtype == object:
        texts = [str(value.ravel()[0]) if np.size(value) else '' for value in values]
        if max(map(len, texts), default=0) > _MAX_TEXT:  # all would take as much memory
            raise ValueError(f'a text of more than {_MAX_TEXT} characters')
        return np.array(texts, np.str_)
    return values.astype(np.float64)


def ages(dob: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Return the ages in years in the middle of the year in which the photographs were taken.

    Parameters
    ----------
    dob : numpy.ndarray
        (N,), MATLAB day numbers, 366 more than Python's. Numbers <= 0 count as the year 1.
    taken : numpy.ndarray
        (N,), years.
    """
    born = [
        datetime.date.fromordinal(int(min(max(day - 366, 1), 3652059)) if day == day else 1)
        for day in dob
    ]
    return np.array(
        [year - date.year - (date.month >= 7) for date, year in zip(born, taken, strict=True)]
    )


def _person(name: str) -> str:
    """Return a name as an identifier.

    IMDB and WIKI write the same person with other accents and spaces.
    """
    plain = unicodedata.normalize('NFKD', name)
    return ' '.join(
        ''.join(letter for letter in plain if not unicodedata.combining(letter)).casefold().split()
    )
