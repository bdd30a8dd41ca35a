"""Downloads large files, and continues where an interrupted download was.

Libraries such as pooch start a broken download of 7 GB from its beginning.
"""

import http.client
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import folder_lock, make_folder, read_json, write_error, write_json

TIMEOUT = 60
ATTEMPTS = 5


def fetch(url: str, folder: Path, pause: float = 2.0) -> Path:
    """Download a file, unless it is there.

    An unfinished file is kept as ``NAME.part``. It is continued if the server's file is still the
    same (entity tag or date of change) and the server can send a part of it.

    Parameters
    ----------
    url : str
        http or https.
    folder : Path
    pause : float
        Seconds before the second attempt; doubled for each further one.

    Returns
    -------
    Path

    Raises
    ------
    UsageError
        The scheme is not http or https, there is no such file on the server, or the server sends
        a web page in its place.
    NeonRnnError
        The server cannot be reached or breaks off again and again, or the disk is full. The same
        command continues the download.
    """
    if not url.startswith(('http://', 'https://')):
        raise UsageError(f'{url}: only http and https are fetched.')
    make_folder(folder)
    path = folder / url.rpartition('/')[2]
    part = path.with_name(path.name + '.part')
    with folder_lock(folder, 'downloading'):
        if not path.exists():
            _fetch(url, part, pause)
            os.replace(part, path)
            _note(part).unlink(missing_ok=True)
    return path


def _fetch(url: str, part: Path, pause: float) -> None:
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            _transfer(url, part)
            return
        except urllib.error.HTTPError as error:
            if error.code in (401, 403, 404, 410):
                raise UsageError(
                    f'{url}: the server says {error.code} {error.reason}. Get the file by hand and '
                    'give it with --source.'
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
    raise NeonRnnError(
        f'{url}: could not be fetched in {ATTEMPTS} attempts ({problem}). The beginning is kept in '
        f'{part}; run the command again to continue.'
    )


def _note(part: Path) -> Path:
    """Return the file that says which file of the server `part` is the beginning of."""
    return part.with_name(part.name + '.json')


def _transfer(url: str, part: Path) -> None:
    """Make one attempt, from where the last one ended."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(
        url, headers={'User-Agent': 'neon_rnn', 'Accept-Encoding': 'identity'}
    )
    known = read_json(_note(part)) if _note(part).exists() else {}
    if have and known.get('validator') and known.get('url') == url:
        request.add_header('Range', f'bytes={have}-')
        request.add_header('If-Range', known['validator'])
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # nothing left to send
            raise
        error.close()
        if have == known.get('size'):
            return
        part.unlink()
        raise ConnectionError('the part kept does not fit the file; starting again') from error
    with response:
        if response.headers.get_content_type() == 'text/html':
            raise UsageError(
                f'{url}: the server sends a web page in place of the file. Get the file by hand '
                'and give it with --source.'
            )
        if not (response.headers.get('Content-Range') or '').startswith(f'bytes {have}-'):
            have = 0
        length = response.headers.get('Content-Length')
        size = have + int(length) if length and length.isdecimal() else None
        tag = response.headers.get('ETag') or ''
        if not tag or tag.startswith('W/'):
            tag = response.headers.get('Last-Modified')
        write_json(_note(part), {'url': url, 'validator': tag, 'size': size})
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
