"""The data set reader: what it returns, and how it refuses what is no data set."""

import fcntl
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from small_datasets import part_data, pixels, write_plain_hdf5, write_small_dataset

from neon_rnn.cli import main
from neon_rnn.data.dataset import Part, open_dataset
from neon_rnn.data.minibatches import Minibatches, epoch_order
from neon_rnn.ingest.output import PartData, write_dataset
from neon_rnn.support import folders
from neon_rnn.support.errors import NeonRnnError, UsageError


def test_what_was_written_is_read_back(tmp_path):
    written = write_small_dataset(tmp_path / 'set', train=10, test=4)
    dataset = open_dataset(tmp_path / 'set')
    assert dataset.description == written
    assert dataset.class_names == ['female', 'male']
    assert (dataset.shape, dataset.nclass, dataset.val) == ((3, 8, 8), 2, None)
    assert dataset.train.labels.tolist() == [0, 1] * 5
    assert dataset.train.labels.dtype == np.int64
    np.testing.assert_array_equal(dataset.train.read(range(10)), pixels(10))
    np.testing.assert_array_equal(dataset.test.read(range(4)), pixels(4, seed=1))
    assert written['counts'] == {
        'train': {'female': 5, 'male': 5},
        'test': {'female': 2, 'male': 2},
    }


def test_read_keeps_the_order_asked_for_and_allows_repeats(tmp_path):
    write_small_dataset(tmp_path / 'set')
    part = open_dataset(tmp_path / 'set').train
    np.testing.assert_array_equal(part.read([7, 2, 7, 0]), pixels(10)[[7, 2, 7, 0]])
    assert part.read([]).shape == (0, 192)
    for wrong in (10, -1):
        with pytest.raises(IndexError, match='there are 10'):
            part.read([wrong])


def test_writing_twice_gives_the_same_bytes(tmp_path):
    first = write_small_dataset(tmp_path / 'first', name='set')
    assert write_small_dataset(tmp_path / 'second', name='set') == first
    assert (tmp_path / 'first/train.h5').read_bytes() == (tmp_path / 'second/train.h5').read_bytes()


def test_a_folder_without_description_gets_one_from_the_files(tmp_path):
    for name, count in (('train', 6), ('test', 4)):
        write_plain_hdf5(tmp_path / (name + '.h5'), pixels(count), np.arange(count) % 2, (3, 8, 8))
    dataset = open_dataset(tmp_path)
    assert dataset.class_names == ['class 0', 'class 1']
    assert dataset.description['kind'] == 'unknown'
    assert dataset.description['counts']['train'] == {'class 0': 3, 'class 1': 3}
    assert dataset.description['sha256'] == dataset.sha256()
    assert not (tmp_path / 'dataset.json').exists()


def test_synthetic_stays_synthetic_without_its_description(tmp_path):
    write_small_dataset(tmp_path / 'set', kind='synthetic')
    os.unlink(str(tmp_path / 'set/dataset.json'))
    dataset = open_dataset(tmp_path / 'set')
    assert (dataset.description['kind'], dataset.class_names) == ('synthetic', ['female', 'male'])


def test_missing_folder_and_files(tmp_path):
    with pytest.raises(UsageError, match='no such data set folder'):
        open_dataset(tmp_path / 'nowhere')
    with pytest.raises(UsageError, match='there is no train.h5'):
        open_dataset(tmp_path)
    write_small_dataset(tmp_path / 'set')
    os.unlink(str(tmp_path / 'set/test.h5'))
    with pytest.raises(UsageError, match='there is no test.h5'):
        open_dataset(tmp_path / 'set')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'input': None}, 'no dataset `input`'),
        ({'output': None}, 'no dataset `output`'),
        ({'input': np.zeros((6, 192), np.float32)}, r'`input` is float32'),
        ({'input': np.zeros((6, 3, 8, 8), np.uint8)}, r'has to be uint8 \(N, C\*H\*W\)'),
        ({'input': np.zeros((0, 192), np.uint8)}, 'holds no images'),
        ({'lshape': None}, 'no attribute `lshape`'),
        ({'lshape': (3, 8, 9)}, 'does not match the 192 values'),
        ({'lshape': (192,)}, 'does not match the 192 values'),
        ({'nclass': None}, 'no attribute `nclass`'),
        ({'output': np.zeros((5, 1), int)}, r'class indices \(6, 1\)'),
        ({'output': np.zeros(6, int)}, r'class indices \(6, 1\)'),
        ({'output': np.full((6, 1), 0.5)}, 'integer class indices'),
        ({'output': np.full((6, 1), 2)}, 'labels run from 2 to 2'),
        ({'output': np.full((6, 1), -1)}, 'labels run from -1'),
        ({'mean': np.zeros((192, 1))}, 'has a `mean`'),
    ],
)
def test_wrong_contents_are_named(tmp_path, changes, message):
    path = tmp_path / 'train.h5'
    write_plain_hdf5(path, pixels(6), np.arange(6) % 2, (3, 8, 8), **changes)
    with pytest.raises(UsageError, match=message) as caught:
        Part(path)
    assert str(path) in str(caught.value)
    # the exception that is still held keeps nothing open
    assert str(path) not in [os.path.realpath(each.path) for each in os.scandir('/proc/self/fd')]


def test_a_group_called_input_is_no_dataset(tmp_path):
    with h5py.File(str(tmp_path / 'train.h5'), 'w') as file:
        file.create_group('input')
    with pytest.raises(UsageError, match='no dataset `input`'):
        Part(tmp_path / 'train.h5')


def test_not_hdf5_truncated_and_damaged(tmp_path):
    write_small_dataset(tmp_path / 'set')
    path = tmp_path / 'set/train.h5'
    whole = path.read_bytes()
    for text in (b'', b'not HDF5 at all'):
        path.write_bytes(text)
        with pytest.raises(UsageError, match='is not an HDF5 file'):
            open_dataset(tmp_path / 'set')
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NeonRnnError, match='truncated or damaged') as caught:
        open_dataset(tmp_path / 'set')
    assert caught.value.exit_status == 1
    changed = bytearray(whole)
    changed[-1] ^= 1
    path.write_bytes(bytes(changed))
    with pytest.raises(NeonRnnError, match='sha256'):
        open_dataset(tmp_path / 'set')


def test_a_data_set_that_cannot_be_put_in_place_leaves_the_one_that_is_there(tmp_path, monkeypatch):
    write_small_dataset(tmp_path / 'set', name='old')
    rename = os.rename

    def fails_for_the_new_one(source, target):
        if Path(target) == tmp_path / 'set' and not source.endswith('.previous'):
            raise OSError(5, 'Input/output error')
        return rename(source, target)

    monkeypatch.setattr(folders, '_exchange', lambda *paths: False)
    monkeypatch.setattr('os.rename', fails_for_the_new_one)
    with pytest.raises(NeonRnnError, match='could not be written'):
        write_small_dataset(tmp_path / 'set', name='new')
    assert [path.name for path in tmp_path.iterdir()] == ['set']
    assert open_dataset(tmp_path / 'set').description['name'] == 'old'


def test_parts_have_to_agree(tmp_path):
    write_small_dataset(tmp_path / 'set')
    write_plain_hdf5(tmp_path / 'set/val.h5', pixels(4, (3, 4, 4)), [0, 1, 0, 1], (3, 4, 4))
    with pytest.raises(UsageError, match='the parts of a data set have to agree'):
        open_dataset(tmp_path / 'set')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'schema': 2}, 'schema 2 is not known'),
        ({'class_names': ['one']}, 'does not name the 2 classes'),
        ({'class_names': ['one', 'one']}, 'does not name the 2 classes'),
        ({'kind': 'drawings'}, "`kind` is 'drawings'"),
        ({'shape': [3, 4, 16]}, r'says shape \[3, 4, 16\]'),
        (
            {'counts': {'train': {'female': 5, 'male': 6}, 'test': {'female': 2, 'male': 2}}},
            'says counts',
        ),
        ({'counts': None}, 'lacks counts'),
    ],
)
def test_a_description_that_does_not_fit(tmp_path, change, message):
    description = dict(write_small_dataset(tmp_path / 'set'), **change)
    description = {name: value for name, value in description.items() if value is not None}
    (tmp_path / 'set/dataset.json').write_text(json.dumps(description))
    with pytest.raises(UsageError, match=message):
        open_dataset(tmp_path / 'set')


@pytest.mark.parametrize('text', ['[]', '"x"', '{}'])
def test_a_description_that_is_none(tmp_path, text):
    write_small_dataset(tmp_path / 'set')
    (tmp_path / 'set/dataset.json').write_text(text)
    with pytest.raises(UsageError, match='schema None is not known'):
        open_dataset(tmp_path / 'set')
    (tmp_path / 'set/dataset.json').write_text('{"schema": 1')
    with pytest.raises(NeonRnnError, match='not valid JSON'):
        open_dataset(tmp_path / 'set')


def test_epoch_order_is_a_permutation_fixed_by_seed_and_epoch():
    order = epoch_order(100, 7, 3)
    np.testing.assert_array_equal(order, np.random.RandomState([7, 3]).permutation(100))
    assert order.dtype == np.int64
    assert not np.array_equal(order, epoch_order(100, 7, 4))
    assert not np.array_equal(order, epoch_order(100, 8, 3))
    assert epoch_order(4, 7, 3, shuffle=False).tolist() == [0, 1, 2, 3]


def test_minibatches_cover_the_order_and_fill_up_from_its_start(tmp_path):
    write_small_dataset(tmp_path / 'set', train=10)
    part = open_dataset(tmp_path / 'set').train
    order = epoch_order(10, 0, 1)
    batches = list(Minibatches(part, 4, order))
    assert len(Minibatches(part, 4, order)) == len(batches) == 3
    assert [batch.count for batch in batches] == [4, 4, 2]
    shown = np.concatenate([order, order[:2]])
    np.testing.assert_array_equal(
        np.concatenate([batch.inputs for batch in batches]), pixels(10)[shown]
    )
    np.testing.assert_array_equal(
        np.concatenate([batch.labels for batch in batches]), part.labels[shown]
    )
    assert [batch.count for batch in Minibatches(part, 5, order)] == [5, 5]


def test_a_batch_larger_than_the_data_is_refused(tmp_path):
    write_small_dataset(tmp_path / 'set', train=10)
    part = open_dataset(tmp_path / 'set').train
    with pytest.raises(
        UsageError, match='10 images do not fill one minibatch of 11; choose -z 10 or less'
    ):
        Minibatches(part, 11, epoch_order(10, 0, 1))
    with pytest.raises(UsageError, match='at least 1'):
        Minibatches(part, 0, epoch_order(10, 0, 1))


def test_a_full_disk_leaves_the_old_data_set_and_no_rubbish(tmp_path, monkeypatch):
    old = write_small_dataset(tmp_path / 'set')

    def blocks():
        yield pixels(2)
        raise OSError(28, 'No space left on device')

    parts = {
        'train': PartData(np.array([0, 1, 0]), blocks(), ['a', 'b', 'c'], [''] * 3),
        'test': part_data(2),
    }
    with pytest.raises(NeonRnnError, match='the disk is full'):
        write_dataset(
            tmp_path / 'set', parts, (3, 8, 8), {'class_names': ['a', 'b'], 'kind': 'synthetic'}
        )
    assert open_dataset(tmp_path / 'set').description == old
    assert [path.name for path in tmp_path.iterdir()] == ['set']


def test_too_little_room_is_said_before_anything_is_written(tmp_path, monkeypatch):
    usage = type('Usage', (), {'free': 1000})
    monkeypatch.setattr('shutil.disk_usage', lambda path: usage)
    with pytest.raises(NeonRnnError, match='the disk is full'):
        write_small_dataset(tmp_path / 'set')
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_files_is_never_replaced(tmp_path):
    (tmp_path / 'set').mkdir()
    (tmp_path / 'set/thesis.tex').write_text('x')
    with pytest.raises(UsageError, match="holds 'thesis.tex'"):
        write_small_dataset(tmp_path / 'set')
    assert (tmp_path / 'set/thesis.tex').read_text() == 'x'
    with pytest.raises(UsageError, match='is a file'):
        write_small_dataset(tmp_path / 'set/thesis.tex')


@pytest.mark.parametrize('how', ['external', 'virtual', 'link'])
def test_pixels_kept_in_other_files_are_refused(tmp_path, how):
    write_plain_hdf5(tmp_path / 'other.h5', pixels(6), np.arange(6) % 2, (3, 8, 8))
    path = tmp_path / 'train.h5'
    write_plain_hdf5(path, pixels(6), np.arange(6) % 2, (3, 8, 8))
    with h5py.File(path, 'a') as file:
        del file['input']
        if how == 'external':
            raw = [(str(tmp_path / 'raw'), 0, 6 * 192)]
            file.create_dataset('input', (6, 192), np.uint8, external=raw)[:] = pixels(6)
        elif how == 'virtual':
            layout = h5py.VirtualLayout((6, 192), np.uint8)
            layout[:] = h5py.VirtualSource(str(tmp_path / 'other.h5'), 'input', (6, 192))
            file.create_virtual_dataset('input', layout)
        else:
            file['input'] = h5py.ExternalLink(str(tmp_path / 'other.h5'), '/input')
        file['input'].attrs['lshape'] = (3, 8, 8)
    with pytest.raises(UsageError, match='`input` is kept in other files'):
        Part(path)


def test_a_file_that_claims_a_billion_classes_is_refused(tmp_path):
    write_plain_hdf5(tmp_path / 'a.h5', pixels(4), np.arange(4) % 2, (3, 8, 8), nclass=10**9)
    with pytest.raises(UsageError, match='more than 10000 classes'):
        Part(tmp_path / 'a.h5')


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('filters', 'none'),
        ('filters', [3]),
        ('filters', [{'reason': 'odd'}]),
        ('sha256', ['train.h5']),
        ('listed', '12'),
        ('name', None),
        ('source', {}),
        ('class_names', [['female'], ['male']]),
        ('kind', []),
        ('counts', 7),
        ('shape', {}),
    ],
)
def test_entries_of_another_type_are_said(tmp_path, key, value, capsys):
    written = write_small_dataset(tmp_path / 'set')
    (tmp_path / 'set/dataset.json').write_text(json.dumps({**written, key: value}))
    assert main(['data', 'verify', str(tmp_path / 'set')]) == 2
    assert 'dataset.json: ' in capsys.readouterr().err


def test_a_description_of_an_older_version_still_opens(tmp_path):
    """Neither the size of the originals nor the filters are required."""
    written = write_small_dataset(tmp_path / 'set', source_size=[64, 64])
    for key in ('source_size', 'filters', 'note'):
        del written[key]
    (tmp_path / 'set/dataset.json').write_text(json.dumps(written))
    assert main(['data', 'show', str(tmp_path / 'set')]) == 0


def test_a_locked_or_unreadable_file_is_not_called_damaged(tmp_path, monkeypatch):
    write_small_dataset(tmp_path / 'set')
    path = tmp_path / 'set/train.h5'
    with open(path, 'rb') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(NeonRnnError, match='another program has it open for writing'):
            Part(path)

    def refuse(*arguments):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr('builtins.open', refuse)
    with pytest.raises(NeonRnnError, match=r'train\.h5: cannot be read \(Permission denied\)'):
        Part(path)
