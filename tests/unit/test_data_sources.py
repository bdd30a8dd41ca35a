"""Every distribution in small: the files, the traps and the counts of each source."""

import os
import tarfile
import zipfile

import numpy as np
import pytest
import scipy.io
from small_datasets import write_picture

from neon_rnn.cli import main
from neon_rnn.data import images
from neon_rnn.data.dataset import open_dataset
from neon_rnn.ingest import importer, selection
from neon_rnn.ingest.sources import adience, celeba, fairface, imdb_wiki, lfw, utkface
from neon_rnn.ingest.workers import isolated


def run(source, *arguments):
    return main(['data', source, *map(str, arguments), '--size', '16', '--workers', '1'])


def drops(folder):
    return {
        entry['reason']: entry['dropped']
        for entry in open_dataset(folder).description['filters']
        if entry['dropped']
    }


def files(folder):
    """Part and label of every image by its name."""
    return {
        name.decode(): (part_name, int(label))
        for part_name, part in open_dataset(folder).parts.items()
        for name, label in zip(part.extra('source_file'), part.labels, strict=True)
    }


def people(folder):
    """The identifiers on each side."""
    return [set(part.extra('person').tolist()) for part in open_dataset(folder).parts.values()]


def adds_up(folder):
    description = open_dataset(folder).description
    kept = sum(sum(counts.values()) for counts in description['counts'].values())
    return description['listed'] == kept + sum(entry['dropped'] for entry in description['filters'])


def write_imdb_wiki(root, database, count=40):
    """A folder as unpacked from wiki_crop.tar: MATLAB v5 metadata, pictures, and its traps."""
    folder = root / '{}_crop'.format(database)
    born = 723671.0  # 1 May 1981, as MATLAB counts days
    records = []
    for index in range(count):
        path = '{:02d}/{}_1981-05-01_2009.jpg'.format(index % 4, 100 + index)
        records.append(
            [born, 2009, path, float(index % 2), 'Person {}'.format(index // 4), 2.5, np.nan]
        )
        write_picture(folder / path, seed=hash_seed(database) + index)

    def change(index, field, value):
        records[index][
            ('dob', 'photo_taken', 'full_path', 'gender', 'name', 'face_score', 'second').index(
                field
            )
        ] = value

    change(0, 'face_score', -np.inf)
    change(1, 'second', 1.7)
    change(2, 'face_score', 0.5)
    change(3, 'dob', -5.0)
    change(4, 'gender', np.nan)
    change(5, 'dob', born + 366 * 60)
    change(6, 'full_path', '00/missing_1981-05-01_2009.jpg')
    change(7, 'full_path', '../../outside.jpg')
    write_picture(folder / records[8][2], seed=3, size=(1, 1))
    (folder / records[9][2]).write_bytes((folder / records[10][2]).read_bytes())
    change(9, 'gender', records[10][3])
    change(11, 'name', '')

    def row(values, texts=False):
        array = np.empty((1, len(values)), dtype=object)
        for index, value in enumerate(values):
            array[0, index] = np.array([value] if value else [], dtype=str) if texts else value
        return array if texts else np.array([values], dtype=float)

    columns = list(zip(*records, strict=True))
    struct = {
        'dob': row(columns[0]),
        'photo_taken': row(columns[1]),
        'full_path': row(columns[2], True),
        'gender': row(columns[3]),
        'name': row(columns[4], True),
        'face_location': row([0.0] * count),
        'face_score': row(columns[5]),
        'second_face_score': row(columns[6]),
    }
    scipy.io.savemat(folder / '{}.mat'.format(database), {database: struct})
    return folder


@pytest.mark.parametrize(
    ('options', 'back'),
    [
        (['--keep-faceless'], imdb_wiki.NO_FACE),
        (['--keep-second-faces'], imdb_wiki.SECOND_FACE),
        (['--face-score', '0.25'], imdb_wiki.LOW_SCORE),
    ],
)
def test_filters_of_wiki_can_be_lifted_one_by_one(tmp_path, options, back):
    folder = write_imdb_wiki(tmp_path / 'given', 'wiki')
    assert run('imdb-wiki', '--source', folder, '--out', tmp_path / 'set', *options) == 0
    expected = {reason: count for reason, count in WIKI_DROPS.items() if reason != back}
    assert drops(tmp_path / 'set') == expected
    assert adds_up(tmp_path / 'set')


def test_a_split_by_photograph_ignores_people(tmp_path):
    folder = write_imdb_wiki(tmp_path / 'given', 'wiki')
    command = ['--source', folder, '--out', tmp_path / 'set', '--split', 'photographs']
    assert run('imdb-wiki', *command, '--test-fraction', '0.5') == 0
    train, test = people(tmp_path / 'set')
    assert len(train & test) > 3
    assert open_dataset(tmp_path / 'set').description['split'].endswith('by photograph')


def test_metadata_with_a_matrix_of_characters(tmp_path):
    """GNU Octave and others write texts of one field as rows of equal length."""
    folder = write_imdb_wiki(tmp_path / 'given', 'wiki')
    struct = scipy.io.loadmat(folder / 'wiki.mat')['wiki'][0, 0]
    fields = {name: struct[name] for name in struct.dtype.names}
    for name in ('full_path', 'name'):
        texts = [str(value.ravel()[0]) if value.size else '' for value in fields[name].ravel()]
        fields[name] = np.array(texts)
    scipy.io.savemat(folder / 'wiki.mat', {'wiki': fields})
    assert run('imdb-wiki', '--source', folder, '--out', tmp_path / 'set') == 0
    assert drops(tmp_path / 'set') == WIKI_DROPS


def test_metadata_of_a_newer_matlab_is_said(tmp_path, capsys):
    folder = write_imdb_wiki(tmp_path / 'given', 'wiki')
    header = b'MATLAB 7.3 MAT-file, Platform: GLNXA64'.ljust(124) + b'\x00\x02IM'
    (folder / 'wiki.mat').write_bytes(header + bytes(2000))
    assert run('imdb-wiki', '--source', folder, '--out', tmp_path / 'set') == 1
    assert 'is a MATLAB 7.3 file, which is not the original wiki.mat' in capsys.readouterr().err


def test_metadata_that_crash_their_reader_are_said_to_be_damaged(tmp_path, capsys, monkeypatch):
    folder = write_imdb_wiki(tmp_path / 'given', 'wiki')
    monkeypatch.setattr(imdb_wiki, 'isolated', lambda *ignored: isolated(os.abort))
    assert run('imdb-wiki', '--source', folder, '--out', tmp_path / 'set') == 1
    said = capsys.readouterr().err
    assert f'{folder}/wiki.mat: cannot be read as the metadata of wiki (Crashed: ' in said
    assert not (tmp_path / 'set.import').exists()


def test_metadata_with_an_endless_text_are_refused(tmp_path, capsys):
    """As an array, each of the texts would take as much memory as the longest."""
    folder = write_imdb_wiki(tmp_path / 'given', 'wiki')
    struct = scipy.io.loadmat(folder / 'wiki.mat')['wiki'][0, 0]
    fields = {name: struct[name] for name in struct.dtype.names}
    fields['name'][0, 5] = np.array(['x' * 5000])
    scipy.io.savemat(folder / 'wiki.mat', {'wiki': fields})
    assert run('imdb-wiki', '--source', folder, '--out', tmp_path / 'set') == 1
    assert 'a text of more than 1000 characters' in capsys.readouterr().err


def test_a_distribution_without_its_photographs_names_the_reason(tmp_path, capsys):
    folder = write_imdb_wiki(tmp_path / 'given', 'wiki')
    for path in folder.rglob('*.jpg'):
        path.unlink()
    assert run('imdb-wiki', '--source', folder, '--out', tmp_path / 'set') == 2
    said = capsys.readouterr().err
    assert f'The most frequent reason: {images.UNREADABLE} (33 of 40, such as ' in said
    assert not (tmp_path / 'set.import').exists()


def hash_seed(database):
    return {'wiki': 100000, 'imdb': 200000}[database]


WIKI_DROPS = {
    imdb_wiki.NO_FACE: 1,
    imdb_wiki.SECOND_FACE: 1,
    imdb_wiki.LOW_SCORE: 1,
    imdb_wiki.AGE: 2,
    imdb_wiki.UNKNOWN: 1,
    images.UNREADABLE: 1,
    importer.OUTSIDE: 1,
    images.TOO_SMALL: 1,
    selection.DUPLICATE: 1,
}


def test_wiki_from_a_folder(tmp_path):
    folder = write_imdb_wiki(tmp_path / 'given', 'wiki')
    assert run('imdb-wiki', '--source', folder, '--out', tmp_path / 'set') == 0
    assert drops(tmp_path / 'set') == WIKI_DROPS
    assert open_dataset(tmp_path / 'set').description['listed'] == 40
    assert adds_up(tmp_path / 'set')
    train, test = people(tmp_path / 'set')
    assert train
    assert test
    assert not train & test
    labels = files(tmp_path / 'set')
    # 1 is male in IMDB-WIKI as it is here: odd numbers, in the replica.
    assert all(
        label == int(name.split('/')[1].split('_')[0]) % 2
        for name, (_, label) in labels.items()
        if not name.endswith('109_1981-05-01_2009.jpg')
    )


def test_both_from_archives_keep_a_person_on_one_side_by_name(tmp_path):
    for name in ('wiki', 'imdb'):
        folder = write_imdb_wiki(tmp_path / 'given', name)
        with tarfile.open(tmp_path / '{}_crop.tar'.format(name), 'w') as archive:
            archive.add(folder, folder.name)
    arguments = [
        '--source',
        tmp_path / 'imdb_crop.tar',
        tmp_path / 'wiki_crop.tar',
        '--test-fraction',
        '0.4',
    ]
    assert run('imdb-wiki', *arguments, '--out', tmp_path / 'a/set') == 0
    assert drops(tmp_path / 'a/set') == {reason: 2 * count for reason, count in WIKI_DROPS.items()}
    train, test = people(tmp_path / 'a/set')
    assert not train & test
    # Ten names, shared by the two, and one image without a name in each.
    assert len(train | test) <= 12
    assert run('imdb-wiki', *arguments, '--out', tmp_path / 'b/set') == 0
    for name in ('train.h5', 'test.h5', 'dataset.json'):
        assert (tmp_path / 'a/set' / name).read_bytes() == (tmp_path / 'b/set' / name).read_bytes()
    assert not (tmp_path / 'a/set.import').exists()


def test_ages_follow_the_usual_rule():
    taken = np.array([2009, 2009, 2009, 2009])
    # 1 May and 1 August 1981; a day number before year 1; an unknown one.
    assert imdb_wiki.ages(np.array([723671.0, 723763.0, -5.0, np.nan]), taken).tolist() == [
        28,
        27,
        2008,
        2008,
    ]


def test_metadata_that_is_none(tmp_path, capsys):
    folder = write_imdb_wiki(tmp_path, 'wiki')
    whole = (folder / 'wiki.mat').read_bytes()
    for data in (b'text', whole[: len(whole) // 2]):
        (folder / 'wiki.mat').write_bytes(data)
        assert run('imdb-wiki', '--source', folder, '--out', tmp_path / 'set') == 1
        assert 'wiki.mat: cannot be read as the metadata of wiki' in capsys.readouterr().err
    (folder / 'wiki.mat').unlink()
    assert run('imdb-wiki', '--source', folder, '--out', tmp_path / 'set') == 2
    assert 'no imdb.mat or wiki.mat there' in capsys.readouterr().err
    assert run('imdb-wiki', '--out', tmp_path / 'set') == 2
    assert 'either --source PATH or --download' in capsys.readouterr().err


def test_utkface_codes_gender_the_other_way_round(tmp_path):
    root = tmp_path / 'UTKFace'
    for index in range(20):
        suffix = '.jpg.chip.jpg' if index % 3 else '.jpg'
        write_picture(
            root / '{}_{}_{}_2017010{}{}'.format(20 + index, index % 2, index % 5, index, suffix),
            seed=index,
        )
    for index, name in enumerate(
        ('39_1_20170116174525125.jpg', '61_3_0_2017.jpg', '_0_0_2017.jpg', 'photo.jpg')
    ):
        write_picture(root / name, seed=500 + index)
    assert run('utkface', '--source', root, '--out', tmp_path / 'set') == 0
    assert drops(tmp_path / 'set') == {utkface.MALFORMED: 4}
    assert adds_up(tmp_path / 'set')
    assert all(
        label == 1 - int(name.split('_')[1]) for name, (_, label) in files(tmp_path / 'set').items()
    )


def test_utkface_takes_the_odd_names_of_the_original(tmp_path):
    odd = ['31_0_2_20170113184224657 .jpg.chip.jpg', '47_1_3_20170116232725357jpg.chip.jpg']
    for index in range(6):
        write_picture(tmp_path / 'a/{}_{}_0_2017.jpg'.format(20 + index, index % 2), seed=index)
    for index, name in enumerate(odd):
        write_picture(tmp_path / 'b' / name, seed=50 + index)
    (tmp_path / 'a/more').symlink_to(tmp_path / 'b')
    assert run('utkface', '--source', tmp_path / 'a', '--out', tmp_path / 'set') == 0
    assert drops(tmp_path / 'set') == {}
    found = files(tmp_path / 'set')
    assert found['more/' + odd[0]][1] == 1
    assert found['more/' + odd[1]][1] == 0


def lfw_names(count=12):
    return [
        '{}_{:04d}.jpg'.format(person, number + 1)
        for person in ('Anna_Of_A', 'Bert_B', 'Cleo_C', 'Dirk_D', 'Eva_E', 'Fred_F')
        for number in range(count // 6)
    ]


def write_lfw(root):
    for index, name in enumerate(lfw_names()):
        write_picture(root / 'lfw' / name.rpartition('_')[0] / name, seed=index)
    write_picture(root / 'lfw/Zed_Z/Zed_Z_0001.jpg', seed=99)
    return root


@pytest.mark.parametrize('how', ['lists', 'attributes'])
def test_lfw(tmp_path, how):
    root = write_lfw(tmp_path / 'given')
    female = [name for name in lfw_names() if name[0] in 'ACE']
    male = [name for name in lfw_names() if name[0] in 'BDF']
    if how == 'lists':
        (root / 'female_names.txt').write_text('\n'.join([*female, male[0], 'Gone_G_0001.jpg']))
        (root / 'male_names.txt').write_text('\n'.join(male) + '\n\n')
        expected = {lfw.CONTRADICTORY: 1, lfw.UNLISTED: 1, images.UNREADABLE: 1}
    else:
        rows = ['# LFW attributes', '#\tperson\timagenum\tMale\tAsian']
        for name in female + male:
            person, _, number = name[:-4].rpartition('_')
            score = 'nan' if name == male[0] else '-1.5' if name in female else '0.25'
            rows.append('{}\t{}\t{}\t0.5'.format(person.replace('_', ' '), int(number), score))
        (root / 'lfw_attributes.txt').write_text('\n'.join(rows))
        expected = {lfw.UNKNOWN: 1, lfw.UNLISTED: 1}
    assert run('lfw', '--source', root, '--out', tmp_path / 'set', '--test-fraction', '0.4') == 0
    assert drops(tmp_path / 'set') == expected
    assert adds_up(tmp_path / 'set')
    assert {name.split('/')[1]: label for name, (_, label) in files(tmp_path / 'set').items()} == {
        **dict.fromkeys(female, 0),
        **dict.fromkeys(male[1:], 1),
    }
    train, test = people(tmp_path / 'set')
    assert not train & test


@pytest.mark.parametrize('inner', ['lfw/lfw', 'lfw-deepfunneled/lfw-deepfunneled', 'x/lfw/y'])
def test_photographs_are_found_where_the_listed_names_are(tmp_path, inner):
    write_lfw(tmp_path / 'flat')
    root = tmp_path / 'given' / inner
    root.parent.mkdir(parents=True)
    (tmp_path / 'flat/lfw').rename(root)
    lists = []
    for label, initials in (('female', 'ACE'), ('male', 'BDF')):
        lists.append(tmp_path / 'lists' / (label + '_names.txt'))
        lists[-1].parent.mkdir(exist_ok=True)
        lists[-1].write_text('\n'.join(name for name in lfw_names() if name[0] in initials))
    command = ['--source', tmp_path / 'given', *lists, '--out', tmp_path / 'set']
    assert run('lfw', *command, '--test-fraction', '0.4') == 0
    assert drops(tmp_path / 'set') == {lfw.UNLISTED: 1}


def write_celeba(root, count=24, said=None):
    names = ['{:06d}.jpg'.format(index + 1) for index in range(count)]
    attributes = [
        '{:<10} {:>2} {:>2}'.format(name, -1, 1 if index % 2 else -1)
        for index, name in enumerate(names)
    ]
    attributes[5] = names[5] + '  1  0'
    root.mkdir(parents=True)
    (root / 'list_attr_celeba.txt').write_text(
        '\n'.join([str(said or count), 'Bald Male ', *attributes, ''])
    )
    (root / 'list_eval_partition.txt').write_text(
        '\n'.join('{} {}'.format(name, index * 3 // count) for index, name in enumerate(names[:-1]))
    )
    (root / 'identity_CelebA.txt').write_text(
        '\n'.join('{} {}'.format(name, index // 4) for index, name in enumerate(names))
    )
    with zipfile.ZipFile(root / 'img_align_celeba.zip', 'w') as archive:
        for index, name in enumerate(names):
            path = write_picture(root.parent / 'pictures' / name, seed=index)
            archive.write(path, 'img_align_celeba/' + name)
    return root


def test_celeba_keeps_its_own_split(tmp_path, capsys):
    root = write_celeba(tmp_path / 'given')
    assert run('celeba', '--source', root, '--out', tmp_path / 'set') == 2
    assert (
        'There are archives that may hold it; give them too: '
        '--source {}/img_align_celeba.zip'.format(root)
        in capsys.readouterr().err
    )
    assert (
        run('celeba', '--source', root, root / 'img_align_celeba.zip', '--out', tmp_path / 'set')
        == 0
    )
    assert drops(tmp_path / 'set') == {celeba.UNKNOWN: 1, celeba.NO_PART: 1}
    assert adds_up(tmp_path / 'set')
    for name, (part, label) in files(tmp_path / 'set').items():
        index = int(name[:6]) - 1
        assert (part, label) == (('train', 'val', 'test')[index * 3 // 24], index % 2)
    assert open_dataset(tmp_path / 'set').description['split'] == "the source's own"
    assert len(set.union(*people(tmp_path / 'set'))) == 6


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_celeba_as_kaggle_has_it(tmp_path, suffix):
    """Lists as .csv, and the pictures in a second folder of the same name."""
    given = tmp_path / 'given'
    names = ['{:06d}.jpg'.format(index + 1) for index in range(18)]
    folder = 'img_align_celeba' + ('_png' if suffix == '.png' else '')
    for index, name in enumerate(names):
        path = given / folder / folder / (name[:6] + suffix)
        write_picture(path, seed=index, format='PNG' if suffix == '.png' else 'JPEG')
    rows = ['{},1,{}'.format(name, 1 if index % 2 else -1) for index, name in enumerate(names)]
    rows[4] = names[4] + ',1,0'
    (given / 'list_attr_celeba.csv').write_text('\n'.join(['image_id,Bald,Male', *rows]))
    (given / 'list_eval_partition.csv').write_text(
        '\n'.join(
            [
                'image_id,partition',
                *('{},{}'.format(name, k * 3 // 18) for k, name in enumerate(names)),
            ]
        )
    )
    assert run('celeba', '--source', given, '--out', tmp_path / 'set') == 0
    assert drops(tmp_path / 'set') == {celeba.UNKNOWN: 1}
    found = files(tmp_path / 'set')
    assert len(found) == 17
    for name, (part, label) in found.items():
        index = int(name[:6]) - 1
        assert name.endswith(suffix)
        assert (part, label) == (('train', 'val', 'test')[index * 3 // 18], index % 2)


@pytest.mark.parametrize('name', ['photos.tar', 'male_names.txt', 'folder'])
def test_what_is_not_a_regular_file_is_refused_and_not_read(tmp_path, capsys, name):
    write_lfw(tmp_path / 'given')
    os.mkfifo(tmp_path / name)
    command = ['--source', tmp_path / 'given', tmp_path / name, '--out', tmp_path / 'set']
    assert run('lfw', *command) == 2
    assert f'{name}: there is no such folder, archive or list' in capsys.readouterr().err
    (tmp_path / 'given/female_names.txt').write_text(lfw_names()[0])
    os.mkfifo(tmp_path / 'given/male_names.txt')
    assert run('lfw', '--source', tmp_path / 'given', '--out', tmp_path / 'set') == 1
    assert 'male_names.txt: is not a regular file' in capsys.readouterr().err


def test_celeba_list_cut_short(tmp_path, capsys):
    root = write_celeba(tmp_path / 'given', said=30)
    assert (
        run('celeba', '--source', root, root / 'img_align_celeba.zip', '--out', tmp_path / 'set')
        == 1
    )
    assert 'it says 30 rows and has 24' in capsys.readouterr().err


def test_adience_tests_on_a_fold(tmp_path):
    root = tmp_path / 'given'
    header = 'user_id original_image face_id age gender x y dx dy tilt_ang yaw score\n'.replace(
        ' ', '\t'
    )
    for fold in range(5):
        rows = []
        for index in range(4):
            user, image, face = (
                '{}@N00'.format(10 * fold + index // 2),
                'img{}.jpg'.format(index),
                str(index + 1),
            )
            write_picture(
                root / 'faces' / user / 'coarse_tilt_aligned_face.{}.{}'.format(face, image),
                seed=100 * fold + index,
            )
            rows.append('\t'.join([user, image, face, '(25, 32)', 'mf'[index % 2], *'0' * 7]))
        rows.append(
            '\t'.join(['7@N00', 'u.jpg', '9', '(25, 32)', 'u' if fold % 2 else '', *'0' * 7])
        )
        (root / 'fold_{}_data.txt'.format(fold)).write_text(
            header + '\n'.join(rows) + ('\nshort\trow' if fold == 1 else '')
        )
    assert run('adience', '--source', root, '--out', tmp_path / 'set', '--fold', '3') == 0
    assert drops(tmp_path / 'set') == {adience.UNKNOWN: 5, adience.MALFORMED: 1}
    assert adds_up(tmp_path / 'set')
    found = files(tmp_path / 'set')
    assert len(found) == 20
    for name, (part, label) in found.items():
        assert (part == 'test') == (30 <= int(name.split('@')[0]) < 40)
        assert label == ('img1' not in name and 'img3' not in name)
    (root / 'fold_2_data.txt').unlink()
    assert run('adience', '--source', root, '--out', tmp_path / 'set') == 2


def test_fairface_tests_on_its_validation_part(tmp_path, capsys):
    root = tmp_path / 'given'
    for part in ('train', 'val'):
        rows = ['file,age,gender,race,service_test']
        for index in range(1, 9):
            write_picture(root / part / '{}.jpg'.format(index), seed=index + 100 * (part == 'val'))
            rows.append(
                '{}/{}.jpg,20-29,{},"Asian, East",True'.format(
                    part, index, ('Male', 'Female')[index % 2]
                )
            )
        rows.append('{}/9.jpg,20-29,Unsure,White,True'.format(part))
        (root / 'fairface_label_{}.csv'.format(part)).write_text('\n'.join(rows))
    assert run('fairface', '--source', root, '--out', tmp_path / 'set') == 0
    assert drops(tmp_path / 'set') == {fairface.UNKNOWN: 2}
    assert adds_up(tmp_path / 'set')
    for name, (part, label) in files(tmp_path / 'set').items():
        assert part == {'train': 'train', 'val': 'test'}[name.split('/')[0]]
        assert label == (int(name.split('/')[1][:-4]) % 2 == 0)
    (root / 'fairface_label_val.csv').write_text('file;gender\nval/1.jpg;Male')
    assert run('fairface', '--source', root, '--out', tmp_path / 'other') == 2
    assert "has no column 'file'" in capsys.readouterr().err


def test_a_distribution_with_many_files_missing_is_said_at_the_end(tmp_path, capsys):
    root = tmp_path / 'given'
    for part in ('train', 'val'):
        rows = ['file,gender']
        for index in range(40):
            if index % 5 or part == 'val':
                write_picture(root / part / f'{index}.jpg', seed=index + 100 * (part == 'val'))
            rows.append(f'{part}/{index}.jpg,{("Male", "Female")[index % 2]}')
        (root / f'fairface_label_{part}.csv').write_text('\n'.join(rows))
    assert run('fairface', '--source', root, '--out', tmp_path / 'set') == 0
    assert capsys.readouterr().err.splitlines()[-1] == (
        'warning: 8 of 80 photographs (10.0%) are missing or cannot be read. '
        'Check that the source is complete.'
    )


def test_a_copy_in_training_goes_rather_than_the_one_tested(tmp_path):
    root = tmp_path / 'given'
    for part in ('train', 'val'):
        rows = ['file,gender']
        for index in range(1, 7):
            write_picture(
                root / part / '{}.jpg'.format(index),
                seed=index + (50 if part == 'val' and index > 2 else 0),
            )
            rows.append('{}/{}.jpg,{}'.format(part, index, ('Male', 'Female')[index % 2]))
        (root / 'fairface_label_{}.csv'.format(part)).write_text('\n'.join(rows))
    assert run('fairface', '--source', root, '--out', tmp_path / 'set') == 0
    assert drops(tmp_path / 'set') == {selection.DUPLICATE: 2}
    assert {'val/1.jpg', 'val/2.jpg'} <= set(files(tmp_path / 'set'))
