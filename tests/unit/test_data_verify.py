"""``data verify`` passes sound data sets and names every fault; a killed import can be resumed."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from small_datasets import class_folders, part_data, write_small_dataset

from neon_rnn.cli import main
from neon_rnn.data.dataset import open_dataset
from neon_rnn.ingest.output import PartData, write_dataset


def description(**changes):
    return dict(
        {
            'name': 'small',
            'source': 'test',
            'kind': 'photographs',
            'class_names': ['female', 'male'],
            'filters': [],
            'split': '',
            'seed': 0,
            'note': '',
        },
        **changes,
    )


def write(folder, train, test, **changes):
    return write_dataset(folder, {'train': train, 'test': test}, (3, 8, 8), description(**changes))


def test_a_sound_data_set(tmp_path, capsys):
    write_small_dataset(tmp_path / 'set', listed=16, filters=[{'reason': 'odd', 'dropped': 2}])
    assert main(['data', 'verify', str(tmp_path / 'set')]) == 0
    out = capsys.readouterr().out
    assert 'sound: hashes' in out
    assert "train: always answering 'female' is right 50.0% of the time" in out
    assert (tmp_path / 'set/contact-sheet.png').read_bytes()[:4] == b'\x89PNG'


@pytest.mark.parametrize(
    ('train', 'test', 'changes', 'message'),
    [
        (part_data(6, seed=0), part_data(4, seed=0), {}, '4 pictures are in train and in test'),
        (
            part_data(4, seed=0, persons=list('aabc')),
            part_data(4, seed=1, persons=['', 'd', 'c', 'a']),
            {},
            '2 people are in train and in test',
        ),
        (
            part_data(4, seed=0),
            part_data(4, seed=1),
            {'listed': 10, 'filters': [{'reason': 'odd', 'dropped': 1}]},
            '10 listed, but 8 kept and 1 dropped make 9',
        ),
        (
            part_data(4, seed=0),
            PartData(
                np.zeros(2, int),
                iter([part_data(2, seed=1).blocks.__next__()]),
                ['a', 'b'],
                ['', ''],
            ),
            {},
            "test has no image of class 'male'",
        ),
        (
            PartData(np.array([0, 1]), iter([np.zeros((2, 192), np.uint8)]), ['a', 'b'], ['', '']),
            part_data(4, seed=1),
            {},
            '1 duplicates in train',
        ),
    ],
)
def test_what_is_unsound_is_named(tmp_path, capsys, train, test, changes, message):
    write(tmp_path / 'set', train, test, **changes)
    assert main(['data', 'verify', str(tmp_path / 'set')]) == 1
    out = capsys.readouterr().out
    assert 'UNSOUND: ' + message in out
    assert 'sound: hashes' not in out


def test_a_changed_file_is_unsound(tmp_path, capsys):
    write_small_dataset(tmp_path / 'set')
    with open(tmp_path / 'set/test.h5', 'ab') as file:
        file.write(b'x')
    assert main(['data', 'verify', str(tmp_path / 'set')]) == 1
    assert 'sha256' in capsys.readouterr().err


def test_a_description_without_hashes_is_said(tmp_path, capsys):
    written = write_small_dataset(tmp_path / 'set')
    del written['sha256']
    (tmp_path / 'set/dataset.json').write_text(json.dumps(written))
    assert main(['data', 'verify', str(tmp_path / 'set')]) == 0
    out = capsys.readouterr().out
    assert 'sound: counts' in out
    assert 'dataset.json states no hashes' in out


def test_an_import_that_was_killed_goes_on_and_its_workers_end(tmp_path):
    root = class_folders(tmp_path / 'photos', per_class=60, size=(300, 300))
    command = [
        sys.executable,
        '-m',
        'neon_rnn',
        'data',
        'folder',
        str(root),
        '--out',
        str(tmp_path / 'set'),
        '--size',
        '512',
        '--workers',
        '2',
    ]
    process = subprocess.Popen(
        command, stderr=subprocess.DEVNULL, cwd=str(pathlib.Path(__file__).parents[2])
    )
    journal = tmp_path / 'set.import/spool/finished.jsonl'
    deadline = time.monotonic() + 60
    while not finished_blocks(journal) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    workers = [
        int(name)
        for name in os.listdir('/proc')
        if name.isdigit() and parent_of(name) == process.pid
    ]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = finished_blocks(journal)
    assert finished
    assert not (tmp_path / 'set').exists()
    while (
        any(os.path.exists('/proc/{}'.format(worker)) for worker in workers)
        and time.monotonic() < deadline
    ):
        time.sleep(0.01)
    assert not any(os.path.exists('/proc/{}'.format(worker)) for worker in workers)
    # The photographs that are finished become unreadable. Nothing but their size and time can be
    # seen without reading them again, which would drop them.
    names = folder_names(root)
    count = sum(len(entry['outcomes']) for entry in finished)
    for entry in finished:
        for name in names[entry['start'] : entry['start'] + len(entry['outcomes'])]:
            status = os.stat(root / name)
            (root / name).write_bytes(bytes(status.st_size))
            os.utime(root / name, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert 0 < count < len(names)
    assert main(command[3:]) == 0
    kept = open_dataset(tmp_path / 'set').description['counts']
    assert sum(sum(counts.values()) for counts in kept.values()) == len(names)
    assert main(['data', 'verify', str(tmp_path / 'set')]) == 0


def finished_blocks(journal):
    """The whole lines of an import's journal."""
    try:
        lines = journal.read_text().splitlines(keepends=True)
    except OSError:
        return []
    return [json.loads(line) for line in lines if line.strip() and line.endswith('\n')]


def folder_names(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob('*.jpg'))


def parent_of(pid):
    try:
        with open('/proc/{}/stat'.format(pid)) as file:
            return int(file.read().rpartition(')')[2].split()[1])
    except OSError:
        return None
