"""``data folder``: a folder of photographs with everything that goes wrong in one."""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from small_datasets import class_folders, encoded, picture, write_picture

from neon_rnn.cli import main
from neon_rnn.data import images
from neon_rnn.data.dataset import open_dataset
from neon_rnn.data.images import Preprocessing, load, read
from neon_rnn.ingest import decoding, importer, jpeg, selection, spool
from neon_rnn.ingest.sources import folder
from neon_rnn.ingest.workers import ordered_map
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.files import folder_lock


def run(*arguments):
    return main(['data', 'folder', *map(str, arguments), '--workers', '1'])


def drops(description):
    return {
        entry['reason']: entry['dropped'] for entry in description['filters'] if entry['dropped']
    }


def source_files(data):
    return [
        name.decode()
        for part in open_dataset(data).parts.values()
        for name in part.extra('source_file')
    ]


def test_a_clean_folder(tmp_path, capsys):
    class_folders(tmp_path / 'photos', per_class=10)
    assert run(tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 32) == 0
    dataset = open_dataset(tmp_path / 'set')
    assert dataset.class_names == ['female', 'male']
    assert dataset.shape == (3, 32, 32)
    assert dataset.description['counts'] == {
        'train': {'female': 8, 'male': 8},
        'test': {'female': 2, 'male': 2},
    }
    assert dataset.description['kind'] == 'photographs'
    assert '20  listed' in capsys.readouterr().out
    for part in (dataset.train, dataset.test):
        for index, name in enumerate(part.extra('source_file')):
            expected = load(tmp_path / 'photos' / name.decode(), Preprocessing(32, 32)).ravel()
            np.testing.assert_array_equal(part.read([index])[0], expected)
            assert part.labels[index] == (0 if name.startswith(b'female/') else 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['photos', 'set']


@pytest.mark.parametrize('many', [1, 21])
def test_many_files_are_scaled_by_the_compiled_loop_to_the_same_pixels(tmp_path, monkeypatch, many):
    class_folders(tmp_path / 'photos', per_class=10)
    asked, resize = [], decoding.compiled_resize()
    monkeypatch.setattr(spool, '_MANY', many)
    monkeypatch.setattr(decoding, 'compiled_resize', lambda: asked.append(1) or resize)
    assert run(tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 32) == 0
    assert len(asked) == (many <= 20)
    train = open_dataset(tmp_path / 'set').train
    for index, name in enumerate(train.extra('source_file')):
        expected = load(tmp_path / 'photos' / name.decode(), Preprocessing(32, 32)).ravel()
        np.testing.assert_array_equal(train.read([index])[0], expected)


def test_every_odd_file_is_skipped_named_and_counted(tmp_path, capsys):
    root = class_folders(tmp_path / 'photos with a space', per_class=6)
    odd = {
        'female/truncated.jpg': (encoded(picture(1))[:600], images.DAMAGED),
        'female/text.jpg': (b'this is text', images.NOT_AN_IMAGE),
        'female/empty.png': (b'', images.NOT_AN_IMAGE),
        'male/placeholder.jpg': (encoded(picture(2, (1, 1))), images.TOO_SMALL),
        'male/notes.txt': (b'a note', folder.NO_PICTURE),
        'male/again.jpg': ((root / 'male/000.jpg').read_bytes(), selection.DUPLICATE),
        'loose.jpg': (encoded(picture(3)), folder.NOT_IN_A_CLASS),
    }
    for name, (data, _) in odd.items():
        (root / name).write_bytes(data)
    write_picture(root / 'female/nested/deeper/Zoë 女.png', seed=5000, format='PNG')
    os.mkfifo(str(root / 'male/pipe.jpg'))
    assert run(root, '--out', tmp_path / 'set', '--size', 32) == 0
    description = open_dataset(tmp_path / 'set').description
    assert drops(description) == {
        images.DAMAGED: 1,
        images.NOT_AN_IMAGE: 2,
        images.TOO_SMALL: 1,
        folder.NO_PICTURE: 1,
        selection.DUPLICATE: 1,
        folder.NOT_IN_A_CLASS: 1,
        images.UNREADABLE: 1,
    }
    assert (
        description['listed']
        == 21
        == 8 + sum(sum(classes.values()) for classes in description['counts'].values())
    )
    said = capsys.readouterr().err
    listed = (tmp_path / 'set/dropped.csv').read_text()
    for name, (_, reason) in odd.items():
        assert 'skipped {}: {}'.format(name, reason) in said
        assert '{},{}'.format(reason, name) in listed
    names = source_files(tmp_path / 'set')
    assert 'female/nested/deeper/Zoë 女.png' in names


def test_a_name_that_is_not_utf8(tmp_path):
    root = class_folders(tmp_path / 'photos', per_class=4)
    with open(os.fsencode(root) + b'/male/\xff\xfe.jpg', 'wb') as file:
        file.write(encoded(picture(777)))
    with open(os.fsencode(root) + b'/male/\xfd.jpg', 'wb') as file:
        file.write(b'text')
    assert run(root, '--out', tmp_path / 'set', '--size', 16) == 0
    names = source_files(tmp_path / 'set')
    assert 'male/\\xff\\xfe.jpg' in names
    assert 'male/\\xfd.jpg' in (tmp_path / 'set/dropped.csv').read_text()


def test_the_same_picture_with_both_labels_is_dropped_altogether(tmp_path):
    root = class_folders(tmp_path / 'photos', per_class=5)
    for name in ('female', 'male'):
        write_picture(root / name / 'same.jpg', seed=9999)
    assert run(root, '--out', tmp_path / 'set', '--size', 16) == 0
    description = open_dataset(tmp_path / 'set').description
    assert drops(description) == {selection.CONTRADICTORY: 2}
    assert sum(sum(classes.values()) for classes in description['counts'].values()) == 10


def test_the_same_command_gives_the_same_bytes_and_another_seed_others(tmp_path):
    class_folders(tmp_path / 'photos', per_class=8)
    for out, seed in (('a', 3), ('b', 3), ('c', 4)):
        assert (
            run(tmp_path / 'photos', '--out', tmp_path / out / 'set', '--size', 16, '--seed', seed)
            == 0
        )
    for name in ('train.h5', 'test.h5', 'dataset.json', 'dropped.csv'):
        assert (tmp_path / 'a/set' / name).read_bytes() == (tmp_path / 'b/set' / name).read_bytes()
    assert (tmp_path / 'a/set/test.h5').read_bytes() != (tmp_path / 'c/set/test.h5').read_bytes()


def test_workers_change_nothing(tmp_path, monkeypatch):
    class_folders(tmp_path / 'photos', per_class=12, size=(40, 40))
    monkeypatch.setattr('neon_rnn.ingest.spool._BLOCK_BYTES', 5 * 3 * 16 * 16)
    for out, workers in (('one', '1'), ('two', '2')):
        assert (
            main(
                [
                    'data',
                    'folder',
                    str(tmp_path / 'photos'),
                    '--out',
                    str(tmp_path / out / 'set'),
                    '--size',
                    '16',
                    '--workers',
                    workers,
                ]
            )
            == 0
        )
    assert (tmp_path / 'one/set/train.h5').read_bytes() == (
        tmp_path / 'two/set/train.h5'
    ).read_bytes()


@pytest.mark.parametrize(
    ('names', 'order'),
    [
        (('male', 'female'), ['female', 'male']),
        (('Man', 'Woman'), ['Woman', 'Man']),
        (('m', 'f'), ['f', 'm']),
        (('cats', 'dogs'), ['cats', 'dogs']),
        (('b', 'c', 'a'), ['a', 'b', 'c']),
    ],
)
def test_female_is_class_0_where_classes_are_so_named(tmp_path, names, order):
    class_folders(tmp_path / 'photos', 3, names)
    assert run(tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 16) == 0
    assert open_dataset(tmp_path / 'set').class_names == order


def test_classes_can_be_chosen(tmp_path):
    class_folders(tmp_path / 'photos', 3, ('a', 'b', 'c'))
    assert (
        run(tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 16, '--classes', 'c,a') == 0
    )
    description = open_dataset(tmp_path / 'set').description
    assert description['class_names'] == ['c', 'a']
    assert drops(description) == {folder.NOT_IN_A_CLASS: 3}


def one_sided_folder(root):
    """10 women and 20 men."""
    class_folders(root, per_class=10)
    for index in range(10):
        write_picture(root / 'male' / 'more {}.jpg'.format(index), seed=7000 + index)
    return root


def test_balance_touches_the_training_part_only(tmp_path):
    root = one_sided_folder(tmp_path / 'photos')
    assert run(root, '--out', tmp_path / 'set', '--size', 16, '--balance') == 0
    description = open_dataset(tmp_path / 'set').description
    assert description['counts'] == {
        'train': {'female': 8, 'male': 8},
        'test': {'female': 2, 'male': 4},
    }
    assert drops(description) == {selection.SURPLUS.format('training'): 8}


def test_both_parts_can_be_balanced(tmp_path, capsys):
    root = one_sided_folder(tmp_path / 'photos')
    command = [root, '--out', tmp_path / 'set', '--size', 16, '--balance']
    assert run(*command, 'both') == 0
    description = open_dataset(tmp_path / 'set').description
    assert description['counts'] == {
        'train': {'female': 8, 'male': 8},
        'test': {'female': 2, 'male': 2},
    }
    assert drops(description) == {
        selection.SURPLUS.format('training'): 8,
        selection.SURPLUS.format('test'): 2,
    }
    with pytest.raises(SystemExit):
        run(*command, 'neither')
    assert 'invalid choice' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('names', 'parts'),
    [
        (('Training', 'Validation'), {'Training': 'train', 'Validation': 'test'}),
        (('TRAIN', 'Test'), {'TRAIN': 'train', 'Test': 'test'}),
        (('train', 'val', 'test'), {'train': 'train', 'val': 'val', 'test': 'test'}),
    ],
)
def test_folders_of_parts_are_a_given_split(tmp_path, names, parts):
    for number, name in enumerate(names):
        for label, gender in enumerate(('Male', 'Female')):
            for index in range(3):
                path = tmp_path / 'photos' / name / gender / '{}.jpg'.format(index)
                write_picture(path, seed=100 * number + 10 * label + index)
    write_picture(tmp_path / 'photos/extra/x.jpg', seed=999)
    assert run(tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 16) == 0
    dataset = open_dataset(tmp_path / 'set')
    assert dataset.class_names == ['Female', 'Male']
    assert drops(dataset.description) == {folder.NOT_IN_A_CLASS: 1}
    assert dataset.description['split'] == "the source's own"
    found = {
        name.decode().split('/')[0]: part_name
        for part_name, part in dataset.parts.items()
        for name in part.extra('source_file')
    }
    assert found == parts
    for part in dataset.parts.values():
        for name, label in zip(part.extra('source_file'), part.labels, strict=True):
            assert name.decode().split('/')[1] == dataset.class_names[label]


def test_parts_that_do_not_hold_the_same_classes_are_said(tmp_path, capsys):
    class_folders(tmp_path / 'photos/train', 3)
    class_folders(tmp_path / 'photos/valid', 3, ('female', 'man'))
    assert run(tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 16) == 2
    said = capsys.readouterr().err
    assert 'train, valid are named like the parts of a split' in said
    assert '(train: female, male; valid: female, man)' in said
    command = ['--out', tmp_path / 'set', '--size', 16, '--classes', 'train,valid']
    assert run(tmp_path / 'photos', *command, '--keep-near-duplicates') == 2
    assert 'no usable photographs' in capsys.readouterr().err  # both hold the same pictures


def test_links_are_followed_and_loops_are_counted(tmp_path):
    class_folders(tmp_path / 'elsewhere', 4, ('a', 'b'))
    root = tmp_path / 'photos'
    write_picture(root / 'woman/own.jpg', seed=4444)
    (root / 'man').symlink_to(tmp_path / 'elsewhere/b')
    (root / 'woman/linked').symlink_to(tmp_path / 'elsewhere/a')
    (root / 'woman/loop').symlink_to(root)
    (root / 'woman/broken').symlink_to(tmp_path / 'gone')
    (root / 'woman/one more.jpg').symlink_to(write_picture(tmp_path / 'x/y.jpg', seed=4445))
    assert run(root, '--out', tmp_path / 'set', '--size', 16) == 0
    description = open_dataset(tmp_path / 'set').description
    assert drops(description) == {folder.NO_PICTURE: 2}
    assert description['listed'] == 12
    assert 'woman/linked/003.jpg' in source_files(tmp_path / 'set')
    listed = (tmp_path / 'set/dropped.csv').read_text()
    assert 'woman/loop' in listed
    assert 'woman/broken' in listed


def test_zeros_inside_a_jpeg_are_counted(tmp_path):
    root = class_folders(tmp_path / 'photos', per_class=4, size=(300, 200))
    data = bytearray((root / 'male/002.jpg').read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = bytes(600)
    (root / 'male/002.jpg').write_bytes(data)
    cmyk = picture(31, (90, 90)).convert('CMYK')
    (root / 'male/cmyk.jpg').write_bytes(encoded(cmyk))
    assert run(root, '--out', tmp_path / 'set', '--size', 32) == 0
    assert drops(open_dataset(tmp_path / 'set').description) == {jpeg.CORRUPT: 1}
    assert 'male/002.jpg' in (tmp_path / 'set/dropped.csv').read_text()


@pytest.mark.parametrize(
    ('size', 'options', 'said'),
    [
        (48, [], '48x64 originals'),
        (64, [], '48x64 originals enlarged'),
        (32, ['--centre', '0.5'], '48x64 originals enlarged'),
    ],
)
def test_the_size_of_the_originals_is_recorded(tmp_path, size, options, said):
    class_folders(tmp_path / 'photos', 4)
    write_picture(tmp_path / 'photos/female/large.jpg', seed=77, size=(900, 700))
    assert run(tmp_path / 'photos', '--out', tmp_path / 'set', '--size', size, *options) == 0
    description = open_dataset(tmp_path / 'set').description
    assert description['source_size'] == [48, 64]
    assert description['preprocessing']['originals'] == said
    assert Preprocessing.of(description['preprocessing']).height == size


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--classes', 'female,cats'], "'cats' is not a sub-folder"),
        (['--classes', 'female,female'], "'female' is named twice"),
        (['--classes', 'female'], 'has 1 class folder (female); two or more are needed'),
        (['--test-fraction', '0'], '--test-fraction 0.0: has to lie between'),
        (['--test-fraction', '1.5'], '--test-fraction 1.5: has to lie between'),
        (['--size', '3'], 'image size of 3x3'),
        (['--seed', '-1'], '--seed -1'),
        (['--workers', '0'], '--workers 0'),
    ],
)
def test_wrong_options(tmp_path, capsys, options, message):
    class_folders(tmp_path / 'photos', 3)
    assert (
        main(['data', 'folder', str(tmp_path / 'photos'), '--out', str(tmp_path / 'set'), *options])
        == 2
    )
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'set').exists()


def test_missing_empty_and_one_class_folders(tmp_path, capsys):
    assert run(tmp_path / 'nowhere', '--out', tmp_path / 'set') == 2
    assert 'there is no such folder' in capsys.readouterr().err
    (tmp_path / 'empty').mkdir()
    assert run(tmp_path / 'empty', '--out', tmp_path / 'set') == 2
    assert 'has 0 class folders; two or more are needed' in capsys.readouterr().err
    class_folders(tmp_path / 'one', 3, ('female',))
    assert run(tmp_path / 'one', '--out', tmp_path / 'set') == 2
    assert 'has 1 class folder (female); two or more are needed' in capsys.readouterr().err
    (tmp_path / 'one/male').mkdir()
    assert run(tmp_path / 'one', '--out', tmp_path / 'set', '--size', 16) == 2
    assert "no usable photograph of class 'male'" in capsys.readouterr().err
    (tmp_path / 'one/male/a.jpg').write_bytes(b'text')
    assert run(tmp_path / 'one', '--out', tmp_path / 'set', '--size', 16) == 2
    assert (
        'not an image of a supported format (1 of 1, such as male/a.jpg)' in capsys.readouterr().err
    )
    for name in ('female', 'male'):
        (tmp_path / 'folders' / name).mkdir(parents=True)
    assert run(tmp_path / 'folders', '--out', tmp_path / 'set') == 2
    assert 'no usable photographs among 0 listed files' in capsys.readouterr().err


def test_out_is_not_replaced_if_it_holds_other_files(tmp_path, capsys):
    class_folders(tmp_path / 'photos', 3)
    assert run(tmp_path / 'photos', '--out', tmp_path / 'photos', '--size', 16) == 2
    assert "holds 'female', which is not part of a data set" in capsys.readouterr().err


def test_a_data_set_is_replaced_only_by_force(tmp_path, capsys):
    class_folders(tmp_path / 'photos', 3)
    command = [tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 16]
    (tmp_path / 'set').mkdir()  # an empty folder is free to use
    assert run(*command) == 0
    before = (tmp_path / 'set/train.h5').read_bytes()
    os.remove(tmp_path / 'photos/male/000.jpg')
    assert run(*command) == 2
    assert (
        f"{tmp_path / 'set'}: holds the data set 'set' (folder, photographs; test 2, train 4), "
        'which would be lost. Choose another --out, or replace it with --force.'
    ) in capsys.readouterr().err
    assert (tmp_path / 'set/train.h5').read_bytes() == before
    assert run(*command, '--force') == 0
    assert (tmp_path / 'set/train.h5').read_bytes() != before


def test_a_link_to_a_data_set_stays_a_link(tmp_path):
    class_folders(tmp_path / 'photos', 3)
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'set').symlink_to(tmp_path / 'disk/real')
    command = [tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 16]
    assert run(*command) == 0
    assert run(*command, '--force') == 0
    assert (tmp_path / 'set').is_symlink()
    assert (tmp_path / 'disk/real/train.h5').is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['disk', 'photos', 'set']


def test_out_inside_the_photographs_is_refused(tmp_path, capsys):
    root = class_folders(tmp_path / 'photos', 3)
    assert run(root, '--out', root / 'deeper/set', '--size', 16) == 2
    assert 'lies inside the folder of photographs' in capsys.readouterr().err
    assert sorted(path.name for path in root.iterdir()) == ['female', 'male']


@pytest.mark.parametrize('description', [None, '[', '[]', '{}', '{"name": "x", "counts": 3}'])
def test_files_without_a_readable_description_are_not_replaced_either(
    tmp_path, capsys, description
):
    class_folders(tmp_path / 'photos', 3)
    (tmp_path / 'set').mkdir()
    (tmp_path / 'set/train.h5').write_bytes(b'of somebody')
    if description is not None:
        (tmp_path / 'set/dataset.json').write_text(description)
    assert run(tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 16) == 2
    assert 'train.h5, which would be lost' in capsys.readouterr().err
    assert (tmp_path / 'set/train.h5').read_bytes() == b'of somebody'


def test_an_interrupted_import_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    class_folders(tmp_path / 'photos', per_class=10)
    monkeypatch.setattr('neon_rnn.ingest.spool._BLOCK_BYTES', 4 * 3 * 16 * 16)
    decoded = []

    def stop_after(limit):
        def counting(path):
            if len(decoded) == limit:
                raise KeyboardInterrupt
            decoded.append(os.path.relpath(path, str(tmp_path / 'photos')))
            return read(path)

        monkeypatch.setattr('neon_rnn.data.images.read', counting)

    stop_after(10)
    assert run(tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 16) == 130
    assert not (tmp_path / 'set').exists()
    assert (
        f'{tmp_path}/set.import keeps what is finished; the same command continues there.'
        in capsys.readouterr().err
    )
    stop_after(1000)
    assert run(tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 16) == 0
    # Two blocks of 4 were finished, the third was not: its 2 pictures are decoded again.
    assert len(decoded) == 10 + 12
    assert len(set(decoded)) == 20
    assert run(tmp_path / 'photos', '--out', tmp_path / 'again/set', '--size', 16) == 0
    assert (tmp_path / 'set/train.h5').read_bytes() == (
        tmp_path / 'again/set/train.h5'
    ).read_bytes()
    assert not (tmp_path / 'set.import').exists()


def test_an_import_that_cannot_begin_leaves_nothing_behind(tmp_path, capsys):
    (tmp_path / 'empty').mkdir()
    for source, said in (('nowhere', 'there is no such folder'), ('empty', 'has 0 class folders')):
        assert run(tmp_path / source, '--out', tmp_path / 'set') == 2
        assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['empty']


def test_a_picture_changed_after_an_interruption_is_read_again(tmp_path, monkeypatch):
    root = class_folders(tmp_path / 'photos', per_class=4)
    (root / 'female/001.jpg').write_bytes(b'broken')
    with monkeypatch.context() as patch:
        patch.setattr(
            importer, 'write_dataset', lambda *ignored: (_ for _ in ()).throw(KeyboardInterrupt())
        )
        assert run(root, '--out', tmp_path / 'set', '--size', 16) == 130
    write_picture(root / 'female/001.jpg', seed=4321)
    assert run(root, '--out', tmp_path / 'set', '--size', 16) == 0
    assert drops(json.loads((tmp_path / 'set/dataset.json').read_text())) == {}


def test_a_disk_full_while_decoding_keeps_what_is_finished(tmp_path, monkeypatch, capsys):
    class_folders(tmp_path / 'photos', per_class=6)
    monkeypatch.setattr('neon_rnn.ingest.spool._BLOCK_BYTES', 4 * 3 * 16 * 16)
    command = [tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 16]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The system refuses to let a file grow beyond the first block, as it does on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 * 3 * 16 * 16, limits[1]))
    try:
        assert run(*command) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    said = capsys.readouterr().err
    assert 'spool/pixels: could not be written (File too large)' in said
    assert 'set.import keeps what is finished' in said
    decoded = []
    monkeypatch.setattr(
        'neon_rnn.data.images.read', lambda path: decoded.append(path) or read(path)
    )
    assert run(*command) == 0
    assert len(decoded) == 8


def test_a_failed_import_without_usable_photographs_leaves_nothing(tmp_path, capsys):
    for name in ('female', 'male'):
        (tmp_path / 'photos' / name).mkdir(parents=True)
        for index in range(3):
            (tmp_path / 'photos' / name / '{}.jpg'.format(index)).write_bytes(b'text')
    assert run(tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 16) == 2
    assert 'not an image of a supported format (6 of 6, such as' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['photos']


def test_leftovers_of_killed_imports_are_removed_or_put_back(tmp_path):
    class_folders(tmp_path / 'photos', 3)
    command = [tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 16]
    assert run(*command) == 0
    dead = multiprocessing.Process()
    dead.start()
    dead.join()
    before = (tmp_path / 'set/test.h5').read_bytes()
    (tmp_path / '.set.{}'.format(dead.pid)).mkdir()
    (tmp_path / '.set.{}'.format(os.getppid())).mkdir()  # of a process that runs
    (tmp_path / '.set.notes').mkdir()
    (tmp_path / 'set').rename(tmp_path / '.set.{}.previous'.format(dead.pid))
    assert run(*command) == 2  # the data set is there again, and not replaced
    assert (tmp_path / 'set/test.h5').read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ['.set.{}'.format(os.getppid()), '.set.notes', 'photos', 'set']
    )


def test_a_second_import_to_the_same_place_is_refused(tmp_path, capsys):
    class_folders(tmp_path / 'photos', per_class=3)
    (tmp_path / 'set.import').mkdir()
    with folder_lock(tmp_path / 'set.import', 'importing'):
        assert run(tmp_path / 'photos', '--out', tmp_path / 'set', '--size', 16) == 1
    assert 'another process is importing there' in capsys.readouterr().err


def test_a_worker_that_is_killed_is_said():
    with pytest.raises(NeonRnnError, match='worker process was ended'):
        list(ordered_map(os.abort, [(), ()], 2))


def test_class_folders_whose_names_are_not_utf_8(tmp_path):
    class_folders(tmp_path / 'photos', 4, ('a', 'b'))
    for name in (b'\xe4pfel', b'\xff'):
        os.rename(
            tmp_path / 'photos' / 'ab'[name == b'\xff'],
            os.path.join(os.fsencode(tmp_path / 'photos'), name),
        )
    out = os.path.join(os.fsencode(tmp_path), b's\xe9t')
    assert run(tmp_path / 'photos', '--out', os.fsdecode(out), '--size', 16) == 0
    opened = open_dataset(os.fsdecode(out))
    assert opened.class_names == ['\\xe4pfel', '\\xff']
    assert opened.description['name'] == 's\\xe9t'


def test_the_workers_of_a_killed_import_end(tmp_path):
    """Each writes its number, then waits for ever; the parent is killed."""
    code = textwrap.dedent("""
        import os, sys, time
        from pathlib import Path
        from neon_rnn.ingest.workers import ordered_map

        def wait(folder):
            Path(folder, str(os.getpid())).touch()
            time.sleep(1000)

        if __name__ == '__main__':
            list(ordered_map(wait, [(sys.argv[1],)] * 8, 2))
    """)
    (tmp_path / 'numbers').mkdir()
    (tmp_path / 'script.py').write_text(code)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / 'script.py'), str(tmp_path / 'numbers')],
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path))),
        stderr=subprocess.DEVNULL,
    )
    try:
        assert until(lambda: len(os.listdir(tmp_path / 'numbers')) == 2)
    finally:
        parent.kill()
        parent.wait()
    workers = [int(name) for name in os.listdir(tmp_path / 'numbers')]
    assert until(lambda: not any(runs(worker) for worker in workers))


def runs(process):
    """Say whether a process runs; one that has ended and waits for its parent does not."""
    try:
        with open(f'/proc/{process}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def until(condition):
    """Wait for a condition, for a minute at most."""
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.1)
    return False
