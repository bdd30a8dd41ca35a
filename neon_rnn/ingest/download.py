"""Downloads large files: goes on where an interrupted one was, checks size and hash."""

import http.client
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import (
    folder_lock,
    make_folder,
    read_json,
    sha256_file,
    write_error,
    write_json,
)

HASHES = 'sha256.json'
TIMEOUT = 60
ATTEMPTS = 5


def fetch(url: str, folder: Path, sha256: str | None = None, pause: float = 2.0) -> Path:
    """Download a file, unless it is there.

    An unfinished file is kept as ``NAME.part`` and continued if the server's file is still the same one (entity tag or
    date of change); a server that ignores ranges has it start again. The sha256 is compared with `sha256` or, without
    one, recorded in ``sha256.json`` of the folder the first time and compared with that afterwards.

    Parameters
    ----------
    url : str
        http or https.
    folder : Path
    sha256 : str, optional
        The published hash.
    pause : float
        Seconds before the second attempt; doubled for each further one.

    Returns
    -------
    Path

    Raises
    ------
    UsageError
        Another scheme than http and https, or there is no such file on the server.
    NeonRnnError
        The server cannot be reached or ends early again and again (run the command again to go on), the disk is full,
        or the hash is wrong (the file is renamed to ``NAME.wrong``).
    """
    if not url.startswith(('http://', 'https://')):
        raise UsageError(f'{url}: only http and https are fetched.')
    make_folder(folder)
    path = folder / url.rpartition('/')[2]
    with folder_lock(folder, 'downloading'):
        if not path.exists():
            _fetch(url, path.with_name(path.name + '.part'), pause)
            os.replace(path.with_name(path.name + '.part'), path)
            path.with_name(path.name + '.part.json').unlink(missing_ok=True)
        _check_hash(path, sha256)
    return path


def _fetch(url: str, part: Path, pause: float) -> None:
    for attempt in range(ATTEMPTS):
        try:
            _transfer(url, part)
            return
        except urllib.error.HTTPError as error:
            if error.code in (401, 403, 404, 410):
                raise UsageError(
                    f'{url}: the server says {error.code} {error.reason}. Get the file by hand and give it '
                    'with --source.'
                ) from error
            problem: Exception = error
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            ConnectionError,
            TimeoutError,
        ) as error:
            problem = error
        except OSError as error:
            raise write_error(part, error) from error
        if attempt + 1 < ATTEMPTS:
            time.sleep(pause * 2**attempt)
    raise NeonRnnError(
        f'{url}: could not be fetched in {ATTEMPTS} attempts ({problem}). What came is kept in {part}; run '
        'the command again to go on.'
    )


def _transfer(url: str, part: Path) -> None:
    """One attempt, from where the last one ended."""
    note = part.with_name(part.name + '.json')
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(
        url, headers={'User-Agent': 'neon_rnn', 'Accept-Encoding': 'identity'}
    )
    known = read_json(note) if note.exists() else {}
    if have and known.get('validator') and known.get('url') == url:
        request.add_header('Range', f'bytes={have}-')
        request.add_header('If-Range', known['validator'])
    else:
        have = 0
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        error.close()
        if have == known.get('size'):
            return
        part.unlink()
        raise ConnectionError('the part kept does not fit the file; starting again') from error
    with response:
        if response.status != 206 or not (response.headers.get('Content-Range') or '').startswith(
            f'bytes {have}-'
        ):
            have = 0
        length = response.headers.get('Content-Length')
        size = have + int(length) if length and length.isdecimal() else None
        tag = response.headers.get('ETag') or ''
        validator = (
            tag if tag and not tag.startswith('W/') else response.headers.get('Last-Modified')
        )
        write_json(note, {'url': url, 'validator': validator, 'size': size})
        with (
            open(part, 'r+b' if have else 'wb') as file,
            tqdm(
                total=size,
                initial=have,
                unit='B',
                unit_scale=True,
                desc=part.stem,
                leave=False,
                disable=None,
            ) as progress,
        ):
            file.seek(have)
            file.truncate()
            while block := response.read(1 << 18):
                file.write(block)
                progress.update(len(block))
            have = file.tell()
    if size is not None and have != size:
        raise ConnectionError(f'{have:,} of {size:,} bytes came')


def _check_hash(path: Path, published: str | None) -> None:
    record = path.parent / HASHES
    known = read_json(record) if record.exists() else {}
    expected = published or known.get(path.name)
    found = sha256_file(path)
    if expected is None:
        write_json(record, {**known, path.name: found})
    elif found != expected:
        wrong = path.with_name(path.name + '.wrong')
        os.replace(path, wrong)
        raise NeonRnnError(
            f'{path}: its sha256 is {found}, expected is {expected}. It was renamed to {wrong.name}; run '
            'the command again to fetch it anew.'
        )
