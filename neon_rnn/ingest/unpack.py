"""Unpacks archives of strangers: nothing outside the folder, no links, no devices, no bombs, whole or not at all."""

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import make_folder, read_json, write_error, write_json

#: A member larger than this is no photograph or list; all members together may not be more than `MAX_RATIO` times the
#: archive and `SPARE` (photographs hardly compress).
MAX_MEMBER = 1 << 30
MAX_RATIO = 20
SPARE = 64 << 20
SUFFIXES = ('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz', '.zip')


def is_archive(path: Path) -> bool:
    """Whether a path looks like an archive that can be unpacked."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive below `folder`, unless that was done before.

    Parameters
    ----------
    archive : Path
        tar (plain, gzip, bzip2, xz) or zip.
    folder : Path

    Returns
    -------
    Path
        The folder with the contents; a note beside it holds the archive's size and time, so that a changed archive is
        unpacked anew.

    Raises
    ------
    UsageError
        There is no such archive.
    NeonRnnError
        It is damaged or truncated, or has a member that must not be unpacked: nothing of it is kept. Or the disk is
        full.
    """
    try:
        status = archive.stat()
    except OSError as error:
        raise UsageError(f'{archive}: there is no such archive.') from error
    target, note = folder / archive.name, folder / f'{archive.name}.json'
    identity = [str(archive.resolve()), status.st_size, status.st_mtime_ns]
    if target.is_dir() and note.exists() and read_json(note) == identity:
        return target
    make_folder(folder)
    shutil.rmtree(target, ignore_errors=True)
    partial = target.with_name(target.name + '.partial')
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _unpack(archive, partial, MAX_RATIO * status.st_size + SPARE)
        partial.rename(target)
        write_json(note, identity)
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise NeonRnnError(
            f'{archive}: is truncated or damaged ({error}). Get it again.'
        ) from error
    except OSError as error:
        if (
            error.filename is None and error.errno is None
        ):  # what gzip and lzma raise for damaged data
            raise NeonRnnError(
                f'{archive}: is truncated or damaged ({error}). Get it again.'
            ) from error
        raise write_error(folder, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _unpack(archive: Path, folder: Path, limit: int) -> None:
    folder.mkdir()
    members = (
        _zip_members
        if zipfile.is_zipfile(archive) and archive.suffix.lower() == '.zip'
        else _tar_members
    )
    total = 0
    with tqdm(
        unit='B', unit_scale=True, desc=f'unpacking {archive.name}', leave=False, disable=None
    ) as progress:
        for name, size, file in members(archive):
            path = folder / _safe(archive, name)
            total += size
            if size > MAX_MEMBER or total > limit:
                raise NeonRnnError(
                    f'{archive}: {name!r} brings it to {total:,} bytes unpacked, more than photographs '
                    'can be. Nothing was kept.'
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, 'wb') as output:
                written = 0
                while block := file.read(min(1 << 20, size - written + 1)):
                    output.write(block)
                    written += len(block)
                    if written > size:
                        break
            if written != size:
                raise NeonRnnError(
                    f'{archive}: is truncated or damaged ({name!r} has {written:,} of {size:,} bytes). '
                    'Get it again.'
                )
            progress.update(size)


def _safe(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or '..' in path.parts or '\\' in name or '\0' in name or not path.parts:
        raise NeonRnnError(
            f'{archive}: has a member {name!r}, which points outside its folder. Nothing was kept; do not '
            'trust this archive.'
        )
    return path


def _tar_members(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with tarfile.open(path, 'r:*') as archive:
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # else half a million members stay in memory
            if member.isdir():
                _safe(path, member.name)
                continue
            file = archive.extractfile(member) if member.isreg() else None
            if file is None:
                raise NeonRnnError(
                    f'{path}: {member.name!r} is a link or a device. Nothing was kept; do not trust this '
                    'archive.'
                )
            yield member.name, member.size, file
        # A tar ends with blocks of zeros; without them it was cut between two members.
        assert archive.fileobj is not None
        archive.fileobj.seek(archive.offset)  # type: ignore[attr-defined]
        if archive.fileobj.read(512) != bytes(512):
            raise EOFError('its end is missing')
        while archive.fileobj.read(1 << 20):  # to the end, where a compressed file has its checksum
            pass


def _zip_members(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.is_dir():
                _safe(path, member.filename)
                continue
            kind = member.external_attr >> 16 & 0o170000
            if kind not in (0, 0o100000):
                raise NeonRnnError(
                    f'{path}: {member.filename!r} is a link or a device. Nothing was kept; do not trust '
                    'this archive.'
                )
            with archive.open(member) as file:
                yield member.filename, member.file_size, file
