"""Parts of one's own: folders for each part, a CSV file of labels, a validation share."""

import numpy as np
import pytest
from small_datasets import class_folders, write_picture

from neon_rnn.cli import main
from neon_rnn.data.dataset import open_dataset
from neon_rnn.ingest import selection
from neon_rnn.ingest.sources import csv as csv_source
from neon_rnn.ingest.sources import folder as folder_source


def run(source, *arguments):
    return main(['data', source, *map(str, arguments), '--size', '32', '--workers', '1'])


def reasons(data):
    return {
        entry['reason']: entry['dropped']
        for entry in open_dataset(data).description['filters']
        if entry['dropped']
    }


def contents(data):
    """Part -> {file: label}."""
    return {
        name: {
            file.decode(): int(label)
            for file, label in zip(part.extra('source_file'), part.labels, strict=True)
        }
        for name, part in open_dataset(data).parts.items()
    }


@pytest.fixture
def parts(tmp_path):
    """Three folders of class folders in different places: 3, 2 and 1 photographs a class."""
    places = {}
    for number, (part, count) in enumerate((('train', 3), ('test', 2), ('val', 1))):
        places[part] = tmp_path / f'place {number}' / part
        for label, name in enumerate(('female', 'male')):
            for index in range(count):
                write_picture(
                    places[part] / name / f'{index}.jpg', seed=100 * number + 10 * label + index
                )
    return places


def named(parts):
    return [word for part, place in parts.items() for word in ('--' + part, place)]


def test_folders_of_the_parts(parts, tmp_path):
    assert run('folder', *named(parts), '--out', tmp_path / 'set') == 0
    found = contents(tmp_path / 'set')
    assert {part: len(files) for part, files in found.items()} == {'train': 6, 'test': 4, 'val': 2}
    assert found['val'] == {'place 2/val/female/0.jpg': 0, 'place 2/val/male/0.jpg': 1}
    assert open_dataset(tmp_path / 'set').description['split'] == "the source's own"


def test_the_validation_folder_may_be_missing(parts, tmp_path):
    del parts['val']
    (parts['train'] / 'female' / 'notes.txt').write_text('a note')
    write_picture(parts['test'] / 'other' / '1.jpg', seed=7)
    words = [*named(parts), '--classes', 'male,female', '--out', tmp_path / 'set']
    assert run('folder', *words) == 0
    assert list(contents(tmp_path / 'set')) == ['train', 'test']
    assert open_dataset(tmp_path / 'set').class_names == ['male', 'female']
    assert reasons(tmp_path / 'set') == {
        folder_source.NO_PICTURE: 1,
        folder_source.NOT_IN_A_CLASS: 1,
    }


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ([], 'give one folder of photographs, or the folders of the parts'),
        (['{train}', '--train', '{train}', '--test', '{test}'], 'give one folder'),
        (['--train', '{train}'], 'give one folder'),
        (['--train', '{train}', '--test', 'nowhere'], 'nowhere: there is no such folder'),
        (['--train', '{train}', '--test', '{train}/../train'], 'would be in both parts'),
        (['--train', '{train}', '--test', '{train}/male'], 'would be in both parts'),
        (
            ['--train', '{train}', '--test', '{other}'],
            'train holds female, male. Name those to use',
        ),
    ],
)
def test_folders_of_parts_that_cannot_be(parts, tmp_path, capsys, words, message):
    other = class_folders(tmp_path / 'other', per_class=2, classes=('man', 'woman'))
    words = [word.format(**parts, other=other) for word in words]
    assert run('folder', *words, '--out', tmp_path / 'set') == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'set').exists()


def table(path, rows, header='file,sex,part,who'):
    path.write_text('\n'.join([header, *rows]) + '\n', 'utf-8')
    return path


@pytest.fixture
def photographs(tmp_path):
    """Twelve photographs p0.jpg to p11.jpg."""
    for index in range(12):
        write_picture(tmp_path / 'photos' / f'p{index}.jpg', seed=index)
    return tmp_path / 'photos'


COLUMNS = ['--image_column', 'file', '--label_column', 'sex']


def test_a_csv_file_with_parts(photographs, tmp_path):
    part = ['Training'] * 6 + ['test'] * 4 + ['Validation'] * 2
    rows = [f'p{index}.jpg,{"MF"[index % 2]},{part[index]},' for index in range(12)]
    labels = table(tmp_path / 'labels.csv', rows)
    words = [labels, '--images', photographs, *COLUMNS, '--split_column', 'part']
    assert run('csv', *words, '--out', tmp_path / 'set') == 0
    found = contents(tmp_path / 'set')
    assert {name: len(files) for name, files in found.items()} == {
        'train': 6,
        'test': 4,
        'val': 2,
    }
    assert open_dataset(tmp_path / 'set').class_names == ['F', 'M']
    for files in found.values():
        for file, label in files.items():
            assert label == 1 - int(file[1:-4]) % 2


def test_a_random_split_keeps_people_together(photographs, tmp_path):
    rows = [f'p{index}.jpg,{"ab"[index // 6]},,person {index // 2}' for index in range(12)]
    labels = table(tmp_path / 'labels.csv', rows)
    words = [labels, '--images', photographs, *COLUMNS, '--person_column', 'who']
    words += ['--test-fraction', '0.34', '--val-fraction', '0.33', '--out', tmp_path / 'set']
    assert run('csv', *words) == 0
    owners = {}
    for part, files in contents(tmp_path / 'set').items():
        for file in files:
            owners.setdefault(int(file[1:-4]) // 2, set()).add(part)
    assert len(owners) == 6
    assert all(len(found) == 1 for found in owners.values())
    assert set.union(*owners.values()) == {'train', 'test', 'val'}
    assert '0.33 for validation' in open_dataset(tmp_path / 'set').description['split']


def test_lines_that_cannot_be_used_are_counted(photographs, tmp_path):
    part = ['train'] * 4 + ['test'] * 4
    rows = [f'p{index}.jpg;{"MF"[index % 2]};{part[index]};' for index in range(8)]
    rows += [
        ';M;train;',
        'p8.jpg;;train;',
        'p9.jpg;unknown;train;',
        'p10.jpg;M;somewhere;',
        'missing.jpg;M;train;',
        '../labels.csv;M;train;',
        'p0.jpg;M;train;',
    ]
    labels = table(tmp_path / 'labels.csv', rows, 'file;sex;part;who')
    words = [labels, '--images', photographs, *COLUMNS, '--split_column', 'part']
    words += ['--delimiter', ';', '--classes', 'F,M', '--out', tmp_path / 'set']
    assert run('csv', *words) == 0
    description = open_dataset(tmp_path / 'set').description
    found = reasons(tmp_path / 'set')
    assert {reason: found.pop(reason) for reason in (csv_source.NO_NAME, csv_source.NO_LABEL)} == {
        csv_source.NO_NAME: 1,
        csv_source.NO_LABEL: 1,
    }
    assert found.pop(csv_source.OTHER_LABEL) == 1
    assert found.pop(csv_source.NO_PART) == 1
    assert found.pop(selection.DUPLICATE) == 1
    assert sum(found.values()) == 2  # the missing file, and the name outside the folder
    assert description['listed'] == 15
    dropped = (tmp_path / 'set' / 'dropped.csv').read_text('utf-8')
    assert 'labels.csv, row 10' in dropped


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--label_column', 'gender'], "has no column 'gender'"),
        (['--classes', 'M,X'], "'X' is not a label of"),
        (['--label_column', 'part'], "the column 'part' holds 0 labels"),
        (['--delimiter', ';;'], 'has to be one character'),
        (['--images', 'nowhere'], '--images nowhere: there is no such folder'),
        (['--val-fraction', '0.9'], 'below 1 together'),
    ],
)
def test_csv_imports_that_cannot_be(photographs, tmp_path, capsys, words, message):
    rows = [f'p{index}.jpg,{"MF"[index % 2]},,' for index in range(8)]
    labels = table(tmp_path / 'labels.csv', rows)
    given = [labels, '--images', photographs, *COLUMNS, *words, '--out', tmp_path / 'set']
    assert run('csv', *given) == 2
    assert message in capsys.readouterr().err


def test_a_validation_share_of_a_folder(tmp_path):
    class_folders(tmp_path / 'photos', per_class=10)
    words = ['--val-fraction', '0.1', '--out', tmp_path / 'set']
    assert run('folder', tmp_path / 'photos', *words) == 0
    counts = open_dataset(tmp_path / 'set').description['counts']
    assert counts == {
        'train': {'female': 7, 'male': 7},
        'test': {'female': 2, 'male': 2},
        'val': {'female': 1, 'male': 1},
    }
    with_val = contents(tmp_path / 'set')
    assert run('folder', tmp_path / 'photos', '--out', tmp_path / 'plain') == 0
    plain = contents(tmp_path / 'plain')
    assert plain['test'] == with_val['test']  # the test part does not depend on it
    assert np.array_equal(sorted(plain['train']), sorted([*with_val['train'], *with_val['val']]))
