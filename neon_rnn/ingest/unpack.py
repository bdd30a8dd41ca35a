"""Unpacks archives that nobody vouches for: whole or not at all, and nothing outside the folder."""

import errno
import re
import shutil
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import make_folder, read_json, write_error, write_json

#: A larger member is neither a photograph nor a list.
MAX_MEMBER = 1 << 30
#: All members together have at most so many times the bytes of the archive, and `SPARE` more:
#: photographs hardly compress.
MAX_RATIO = 20
SPARE = 64 << 20
#: The longest name or extended header of a tar member, and all global headers together.
MAX_HEADER = 1 << 20
MAX_GLOBAL_HEADERS = 16 << 20
#: The longest list of members of a zip archive; half a million photographs take less. In memory it
#: is ten times as long.
MAX_ZIP_LIST = 64 << 20
_NAME_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
#: The end record of a zip archive, its longest comment, and the two records of zip64 before it.
_ZIP_END = 22 + 65535 + 76
SUFFIXES = ('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz', '.zip')


def is_archive(path: Path) -> bool:
    """Say whether a path is named like an archive that can be unpacked."""
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
        The folder with the contents. A note beside it holds the archive's size and time, so that
        a changed archive is unpacked again.

    Raises
    ------
    UsageError
        There is no such archive.
    NeonRnnError
        The archive is damaged or truncated, or has a member that must not be unpacked, or the
        disk is full. Nothing of it is kept.
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
    damage: str | Exception
    try:
        partial.mkdir()
        extract = _extract_zip if archive.suffix.lower() == '.zip' else _extract_tar
        extract(archive, partial, MAX_RATIO * status.st_size + SPARE)
        partial.rename(target)
        write_json(note, identity)
        return target
    except NeonRnnError:
        raise
    except OSError as error:
        # Damaged data give an OSError without a number (gzip, bzip2), or a seek to nowhere (zip).
        if error.errno not in (None, errno.EINVAL) or error.filename is not None:
            raise write_error(folder, error) from error
        damage = error
    except Exception as error:  # zipfile, tarfile and the decompressors raise almost any type
        damage = error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    raise NeonRnnError(
        f'{archive}: is truncated or damaged ({damage}). Remove it and get it again.'
    )


def _extract_tar(path: Path, folder: Path, limit: int) -> None:
    if not hasattr(tarfile, 'data_filter'):
        raise NeonRnnError(
            f'{path}: this Python cannot unpack tar archives safely; 3.10.12, 3.11.4 and all newer '
            'versions can. Use one of these, or unpack the archive yourself and give the folder.'
        )
    total = 0
    with (
        tarfile.open(path, 'r:*', tarinfo=_bounded_members(path)) as archive,
        _progress(path) as progress,
    ):
        while (member := archive.next()) is not None:
            # The list of members would keep half a million of them in memory.
            archive.members.clear()  # type: ignore[attr-defined]
            total += member.size
            _check(path, member.name, member.isreg() or member.isdir())
            _check_size(path, member.name, member.size, total, limit)
            archive.extract(member, folder, filter='data')
            progress.update(member.size)
        # A tar archive ends with blocks of zeros; without them it was cut between two members.
        file = archive.fileobj
        file.seek(archive.offset)  # type: ignore[attr-defined, union-attr]
        if file.read(512) != bytes(512):  # type: ignore[union-attr]
            raise EOFError('its end is missing')
        # To the end, where a compressed file has its checksum.
        while block := file.read(1 << 20):  # type: ignore[union-attr]
            total += len(block)
            _check_size(path, 'what follows its end', 0, total, limit)


def _bounded_members(path: Path) -> type[tarfile.TarInfo]:
    """Return a class of members that refuses names and headers which would fill the memory.

    A compressed archive holds gigabytes of them in few bytes.
    """
    left = MAX_GLOBAL_HEADERS

    class Member(tarfile.TarInfo):
        # tarfile says of this method that a subclass may override it.
        def _proc_member(self, archive):
            nonlocal left
            problem = ''
            if self.type in _NAME_HEADERS and self.size > MAX_HEADER:
                problem = f'a name or header of {self.size:,} bytes'
            elif self.type == tarfile.GNUTYPE_SPARSE:
                problem = 'a sparse file'
            elif self.type == tarfile.XGLTYPE:
                left -= self.size
                problem = 'too many global headers' if left < 0 else ''
            if problem:
                raise _unneeded(path, problem)
            return super()._proc_member(archive)  # type: ignore[misc]

        def _proc_gnusparse_10(self, *arguments):
            raise _unneeded(path, 'a sparse file')

    return Member


def _unneeded(path: Path, what: str) -> NeonRnnError:
    return NeonRnnError(
        f'{path}: has {what}, which an archive of photographs does not need. Nothing was kept; do '
        'not trust this archive.'
    )


def _extract_zip(path: Path, folder: Path, limit: int) -> None:
    if _zip_list_size(path) > MAX_ZIP_LIST:
        raise _unneeded(path, f'a list of members of more than {MAX_ZIP_LIST:,} bytes')
    total = 0
    with zipfile.ZipFile(path) as archive, _progress(path) as progress:
        for member in archive.infolist():
            # Some programs for Windows write backslashes, which no zip archive may have.
            member.filename = member.filename.replace('\\', '/')
            total += member.file_size
            kind = member.external_attr >> 16 & 0o170000
            _check(path, member.filename, kind in (0, 0o100000, 0o040000))
            _check_size(path, member.filename, member.file_size, total, limit)
            archive.extract(member, folder)
            progress.update(member.file_size)


def _zip_list_size(path: Path) -> int:
    """Return how many bytes of member list `zipfile` would read at once; 0 if no end is found.

    The end record states it, 12 bytes after its signature; the one of zip64, 56 bytes long and 76
    before the other, 40 bytes after its own. An archive may hold several that look like the end.
    """
    with path.open('rb') as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - _ZIP_END))
        tail = file.read(_ZIP_END)
    sizes = [0]
    for end in re.finditer(b'PK\x05\x06', tail):
        sizes.append(int.from_bytes(tail[end.start() + 12 : end.start() + 16], 'little'))
        large = tail[max(0, end.start() - 76) : end.start()]
        if large[-20:-16] == b'PK\x06\x07':
            sizes[-1] = int.from_bytes(large[40:48], 'little')
    return max(sizes)


def _progress(path: Path) -> tqdm:
    return tqdm(unit='B', unit_scale=True, desc=f'unpacking {path.name}', leave=False, disable=None)


def _check(archive: Path, name: str, plain: bool) -> None:
    """Refuse a name that leaves the folder, and what is neither a file nor a folder.

    The libraries would rename the one and follow some of the other: the whole archive is refused.
    """
    path = PurePosixPath(name.replace('\\', '/'))
    if path.is_absolute() or '..' in path.parts or '\0' in name or not path.parts:
        problem = 'points outside its folder'
    elif not plain:
        problem = 'is a link or a device'
    else:
        return
    raise NeonRnnError(
        f'{archive}: its member {name[:200]!r} {problem}. Nothing was kept; do not trust this '
        'archive.'
    )


def _check_size(archive: Path, name: str, size: int, total: int, limit: int) -> None:
    if not 0 <= size <= MAX_MEMBER or total > limit:
        raise NeonRnnError(
            f'{archive}: {name[:200]!r} brings it to {total:,} bytes unpacked, more than '
            'photographs can be. Nothing was kept.'
        )
