"""Archives of strangers: what is unpacked, and what never is."""

import errno
import io
import lzma
import tarfile
import tracemalloc
import zipfile

import pytest

from neon_rnn.ingest import unpack as module
from neon_rnn.ingest.unpack import unpack
from neon_rnn.support.errors import NeonRnnError, UsageError


def member(name, data=b'data', kind=tarfile.REGTYPE, link=''):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data) if kind == tarfile.REGTYPE else 0
    return info, io.BytesIO(data)


def write_tar(path, *members, mode='w'):
    with tarfile.open(path, mode) as archive:
        for info, data in members:
            archive.addfile(info, data)
    return path


def write_zip(path, contents, kind=None):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if kind:
                info.external_attr = kind << 16
            archive.writestr(info, data)
    return path


@pytest.mark.parametrize('suffix', ['tar', 'tar.gz', 'tgz', 'tar.bz2', 'tar.xz', 'zip'])
def test_contents_arrive_and_are_unpacked_once(tmp_path, suffix):
    path = tmp_path / ('a.' + suffix)
    if suffix == 'zip':
        write_zip(path, {'d/one.txt': b'1' * 5000, 'two.txt': b''})
    else:
        mode = {'tar': 'w', 'tgz': 'w:gz'}.get(suffix, 'w:' + suffix[4:])
        write_tar(
            path,
            member('d', kind=tarfile.DIRTYPE),
            member('d/one.txt', b'1' * 5000),
            member('two.txt', b''),
            mode=mode,
        )
    target = unpack(path, tmp_path / 'out')
    assert (target / 'd/one.txt').read_bytes() == b'1' * 5000
    assert (target / 'two.txt').read_bytes() == b''
    (target / 'mark').write_text('')
    assert unpack(path, tmp_path / 'out') == target
    assert (target / 'mark').exists()
    path.write_bytes(path.read_bytes())  # the same, written again later
    assert not (unpack(path, tmp_path / 'out') / 'mark').exists()


@pytest.mark.parametrize(
    ('hostile', 'message'),
    [
        (member('../evil'), 'points outside'),
        (member('/tmp/evil'), 'points outside'),
        (member('d/../../evil'), 'points outside'),
        (member('..\\evil'), 'points outside'),
        (member('../', kind=tarfile.DIRTYPE), 'points outside'),
        (member('link', kind=tarfile.SYMTYPE, link='/etc'), 'link or a device'),
        (member('link', kind=tarfile.LNKTYPE, link='/etc/passwd'), 'link or a device'),
        (member('null', kind=tarfile.CHRTYPE), 'link or a device'),
        (member('pipe', kind=tarfile.FIFOTYPE), 'link or a device'),
    ],
)
def test_a_hostile_tar_leaves_nothing(tmp_path, hostile, message):
    path = write_tar(tmp_path / 'a.tar', member('fine'), hostile, member('link/passwd'))
    with pytest.raises(NeonRnnError, match=message):
        unpack(path, tmp_path / 'out')
    assert list((tmp_path / 'out').iterdir()) == []
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['a.tar', 'out']


@pytest.mark.parametrize(
    ('contents', 'kind', 'message'),
    [
        ({'fine': b'', '../evil': b''}, None, 'points outside'),
        ({'/evil': b''}, None, 'points outside'),
        ({'link': b'/etc/passwd'}, 0o120777, 'link or a device'),
    ],
)
def test_a_hostile_zip_leaves_nothing(tmp_path, contents, kind, message):
    path = write_zip(tmp_path / 'a.zip', contents, kind)
    with pytest.raises(NeonRnnError, match=message):
        unpack(path, tmp_path / 'out')
    assert list((tmp_path / 'out').iterdir()) == []


@pytest.mark.parametrize('mode', ['w', 'w:gz'])
def test_every_truncation_is_noticed(tmp_path, mode):
    whole = write_tar(
        tmp_path / 'whole.tar',
        member('one', bytes(range(256)) * 9),
        member('two', b'x' * 600),
        mode=mode,
    ).read_bytes()
    # A plain tar ends with any number of zero blocks, a gzip file with its checksum.
    end = len(whole) if mode == 'w:gz' else 512 + 2560 + 512 + 1024
    for length in [*range(0, end, 128 if mode == 'w' else 16), end - 1]:
        path = tmp_path / 'a.tar'
        path.write_bytes(whole[:length])
        with pytest.raises(NeonRnnError, match='truncated or damaged'):
            unpack(path, tmp_path / 'out')
        assert list((tmp_path / 'out').iterdir()) == []


def test_a_zip_cut_or_damaged(tmp_path):
    path = write_zip(tmp_path / 'a.zip', {'one': b'1' * 5000})
    data = bytearray(path.read_bytes())
    path.write_bytes(bytes(data[:-30]))
    with pytest.raises(NeonRnnError, match='truncated or damaged'):
        unpack(path, tmp_path / 'out')
    data[40] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(NeonRnnError, match='truncated or damaged'):
        unpack(path, tmp_path / 'out')


def test_a_bomb_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'SPARE', 1000)
    path = write_zip(tmp_path / 'a.zip', {'zeros': bytes(10**6)})
    with pytest.raises(NeonRnnError, match='more than photographs can be'):
        unpack(path, tmp_path / 'out')
    path = write_tar(tmp_path / 'b.tar.gz', member('zeros', bytes(10**6)), mode='w:gz')
    with pytest.raises(NeonRnnError, match='more than photographs can be'):
        unpack(path, tmp_path / 'out')


def header(kind, size):
    """The 512 bytes of a tar header, and `size` bytes behind it."""
    info = tarfile.TarInfo('x')
    info.type, info.size = kind, size
    padded = -(-size // 512) * 512
    return info.tobuf(tarfile.GNU_FORMAT) + b'a' * padded


@pytest.mark.parametrize(
    ('kind', 'size', 'message'),
    [
        (tarfile.GNUTYPE_LONGNAME, 30 << 20, 'a name or header of 31,457,280 bytes'),
        (tarfile.GNUTYPE_LONGLINK, (1 << 20) + 1, 'a name or header of 1,048,577 bytes'),
        (tarfile.XHDTYPE, 2 << 20, 'a name or header of 2,097,152 bytes'),
        (tarfile.XGLTYPE, 5 << 20, 'a name or header of 5,242,880 bytes'),
        (tarfile.GNUTYPE_SPARSE, 512, 'a sparse file'),
    ],
)
@pytest.mark.parametrize('suffix', ['tar', 'tar.xz'])
def test_headers_that_would_fill_the_memory_are_refused(tmp_path, suffix, kind, size, message):
    content = header(kind, size) + header(tarfile.REGTYPE, 10) + bytes(1024)
    path = tmp_path / f'a.{suffix}'
    path.write_bytes(lzma.compress(content) if suffix == 'tar.xz' else content)
    tracemalloc.start()
    with pytest.raises(NeonRnnError, match=f'a.{suffix}: has {message}'):
        unpack(path, tmp_path / 'out')
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20
    assert list((tmp_path / 'out').iterdir()) == []


def pax(**fields):
    """The lines of an extended header."""
    lines = b''
    for key, value in fields.items():
        text = f' {key}={value}\n'.encode()
        length = len(text) + 2
        while len(str(length)) + len(text) != length:
            length = len(str(length)) + len(text)
        lines += str(length).encode() + text
    return lines


def extended(kind, lines):
    info = tarfile.TarInfo('x')
    info.type, info.size = kind, len(lines)
    return info.tobuf(tarfile.USTAR_FORMAT) + lines + bytes(-len(lines) % 512)


def test_many_global_headers_and_sparse_maps_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'MAX_GLOBAL_HEADERS', 10000)
    path = tmp_path / 'a.tar'
    end = header(tarfile.REGTYPE, 10) + bytes(1024)
    path.write_bytes(extended(tarfile.XGLTYPE, pax(comment='x' * 900)) * 20 + end)
    with pytest.raises(NeonRnnError, match='too many global headers'):
        unpack(path, tmp_path / 'out')
    path.write_bytes(extended(tarfile.XGLTYPE, pax(comment='x' * 900)) * 10 + end)
    assert (unpack(path, tmp_path / 'out') / 'x').read_bytes() == b'a' * 10
    sparse = {'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'y'}
    path.write_bytes(extended(tarfile.XHDTYPE, pax(**sparse)) + end)
    with pytest.raises(NeonRnnError, match='a sparse file'):
        unpack(path, tmp_path / 'out')


def test_an_endless_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'SPARE', 1 << 20)
    path = tmp_path / 'a.tar.xz'
    path.write_bytes(lzma.compress(header(tarfile.REGTYPE, 10) + bytes(5 << 20)))
    with pytest.raises(NeonRnnError, match='what follows its end'):
        unpack(path, tmp_path / 'out')


def test_a_missing_archive_and_a_full_disk(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match='no such archive'):
        unpack(tmp_path / 'a.tar', tmp_path / 'out')
    path = write_tar(tmp_path / 'a.tar', member('one'))

    def full(*arguments):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(module, '_extract_tar', full)
    with pytest.raises(NeonRnnError, match='the disk is full'):
        unpack(path, tmp_path / 'out')


@pytest.mark.parametrize('zip64', [False, True])
def test_a_zip_whose_list_would_fill_the_memory(tmp_path, monkeypatch, zip64):
    monkeypatch.setattr(zipfile, 'ZIP_FILECOUNT_LIMIT', 0 if zip64 else 65535)
    path = write_zip(tmp_path / 'a.zip', {f'{"n" * 100}{number}': b'' for number in range(50)})
    assert (b'PK\x06\x06' in path.read_bytes()) == zip64
    size = module._zip_list_size(path)
    assert 50 * 146 < size < 50 * 160
    monkeypatch.setattr(module, 'MAX_ZIP_LIST', size)
    unpack(path, tmp_path / 'kept')
    monkeypatch.setattr(module, 'MAX_ZIP_LIST', size - 1)
    with pytest.raises(NeonRnnError, match='a list of members of more than'):
        unpack(path, tmp_path / 'out')
    assert not list((tmp_path / 'out').glob('*/*'))


def test_a_zip_with_the_separators_of_windows(tmp_path):
    path = write_zip(tmp_path / 'a.zip', {'set\\female\\one.txt': b'1', 'set\\two.txt': b'2'})
    target = unpack(path, tmp_path / 'out')
    assert (target / 'set/female/one.txt').read_bytes() == b'1'
    assert (target / 'set/two.txt').read_bytes() == b'2'
    path = write_zip(tmp_path / 'b.zip', {'set\\..\\..\\evil': b''})
    with pytest.raises(NeonRnnError, match='points outside'):
        unpack(path, tmp_path / 'out')


def test_a_python_without_the_data_filter_is_said(tmp_path, monkeypatch):
    path = write_tar(tmp_path / 'a.tar', member('one'))
    monkeypatch.delattr(tarfile, 'data_filter')
    with pytest.raises(NeonRnnError, match=r'this Python .* 3\.10\.12, 3\.11\.4'):
        unpack(path, tmp_path / 'out')
    assert list((tmp_path / 'out').iterdir()) == []
