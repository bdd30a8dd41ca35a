"""Every reader of a file that a user may get from elsewhere: a sound sample, and how it is read."""

import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import scipy.io
import synthetic_records as synthetic
from PIL import Image
from small_training import write_data

from neon_rnn.data import images
from neon_rnn.data.dataset import open_dataset
from neon_rnn.ingest import decoding, unpack
from neon_rnn.ingest.sources import imdb_wiki
from neon_rnn.report.collect import collect
from neon_rnn.runs import checkpoint, example_predictions, records
from neon_rnn.support.errors import NeonRnnError, naming
from neon_rnn.weights import formats, neon_prm

SIZE = images.Preprocessing(16, 16)


class Reader:
    """One kind of file.

    Parameters
    ----------
    name : str
        The file's name in its folder.
    make : callable
        Given the folder, writes a sound sample.
    read : callable
        Given the file's path, reads it as the product does.
    share : int
        Only every `share`-th file is tried: the reader starts a process for each.
    """

    def __init__(self, name, make, read, share=1):
        self.name, self.make, self.read, self.share = name, make, read, share

    @property
    def is_json(self):
        return self.name.endswith('.json')


def _record(folder):
    folder.rmdir()
    synthetic.write(folder.parent, synthetic.record(folder.name, epochs=2))


def _examples(folder):
    pictures = np.zeros((6, 3 * 4 * 4), np.uint8)
    labels, probabilities = [0, 1] * 3, np.full((6, 2), 0.5)
    example_predictions.write(
        folder, 'synthetic', pictures, (3, 4, 4), labels, probabilities, ['a', 'b']
    )


def _checkpoint(folder):
    weights = {'2.W': np.ones((9, 4), 'f4'), '2.weight_bias': np.zeros((4, 1), 'f4')}
    state = {name: [np.zeros_like(values)] for name, values in weights.items()}
    random = {'keys': np.arange(624, dtype='u4'), 'position': np.int64(3)}
    checkpoint.save(folder / 'checkpoint.npz', weights, state, random, {'epoch': 1, 'model': 'rnn'})


def _dataset(folder):
    write_data(folder, shape=(3, 4, 4))


def _without_description(folder):
    _dataset(folder)
    (folder / 'dataset.json').unlink()


def _prm(folder):
    layer = {
        'type': 'neon.layers.layer.Linear',
        'config': {},
        'params': {'W': np.ones((2, 3), 'f4')},
    }
    model = {'type': 'neon.layers.container.Sequential', 'config': {'layers': [layer]}}
    (folder / 'model.prm').write_bytes(pickle.dumps({'model': model}, protocol=2))


def _pytorch(folder):
    import torch

    torch.save({'conv1.weight': torch.ones(4, 3, 3, 3)}, folder / 'weights.pth')


def _safetensors(folder):
    from safetensors.numpy import save_file

    save_file({'conv1.weight': np.ones((4, 3, 3, 3), 'f4')}, folder / 'weights.safetensors')


def _image(form):
    def make(folder):
        rng = np.random.RandomState(0)
        picture = Image.fromarray(rng.randint(0, 255, (24, 24, 3)).astype(np.uint8))
        picture.save(folder / f'photo.{form}')

    return make


def _tar(suffix):
    def make(folder):
        mode = 'w:' + suffix.rpartition('.')[2] if suffix != 'tar' else 'w'
        rng = np.random.RandomState(0)
        with tarfile.open(folder / f'faces.{suffix}', mode) as archive:
            for name in ('a/1.jpg', 'b/2.jpg', 'list.txt'):
                member = tarfile.TarInfo(name)
                member.size = 300
                archive.addfile(member, io.BytesIO(rng.bytes(300)))

    return make


def _zip(folder):
    with zipfile.ZipFile(folder / 'faces.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        for name in ('a/1.jpg', 'b/2.jpg', 'list.txt'):
            archive.writestr(name, b'x' * 300)


def _table(folder):
    run = records.Run.create(folder, synthetic.fields(), 'run')
    run.add_minibatches([(1, index, 0.5) for index in range(1, 9)])
    os.replace(folder / 'run' / records.MINIBATCHES, folder / records.MINIBATCHES)


def _metadata(folder):
    texts = np.empty((1, 50), dtype=object)
    texts[0] = [np.array([f'{index:02d}/{index}_1981-05-01_2009.jpg']) for index in range(50)]
    numbers = np.ones((1, 50))
    names = ('dob', 'photo_taken', 'gender', 'face_score', 'second_face_score')
    fields = {**dict.fromkeys(names, numbers), 'full_path': texts, 'name': texts}
    scipy.io.savemat(folder / 'wiki.mat', {'wiki': fields})


def _unpack(path):
    unpack.unpack(path, path.parent / 'unpacked')


def _loading(load):
    """Commands name the file beside an error; it is not part of the error itself."""

    def read(path):
        with naming(path):
            return load(path, SIZE)

    return read


def _collect(path):
    """An odd record never stops the table: it is left out with a reason."""
    collection = collect(path.parent.parent)
    for _, reason in collection.unreadable:
        raise NeonRnnError(f'{path}: {reason}')


READERS = (
    Reader('record.json', _record, lambda path: records.read_record(path)),
    Reader('record.json', _record, _collect),
    Reader('examples.json', _examples, lambda path: example_predictions.read(path.parent)),
    Reader('dataset.json', _dataset, lambda path: open_dataset(path.parent).close()),
    Reader('train.h5', _without_description, lambda path: open_dataset(path.parent).close()),
    Reader('checkpoint.npz', _checkpoint, lambda path: checkpoint.load(path)),
    Reader('minibatches.csv', _table, lambda path: records.read_minibatches(path.parent)),
    Reader('model.prm', _prm, lambda path: neon_prm.read(str(path))),
    Reader('weights.pth', _pytorch, lambda path: formats.read(str(path))),
    Reader('weights.safetensors', _safetensors, lambda path: formats.read(str(path))),
    *(
        Reader(f'photo.{form}', _image(form), _loading(images.load))
        for form in ('jpg', 'png', 'gif', 'bmp', 'webp', 'tif')
    ),
    *(Reader(f'photo.{form}', _image(form), _loading(decoding.load)) for form in ('jpg', 'png')),
    *(
        Reader(f'faces.{suffix}', _tar(suffix), _unpack)
        for suffix in ('tar', 'tar.gz', 'tar.bz2', 'tar.xz')
    ),
    Reader('faces.zip', _zip, _unpack),
    Reader('wiki.mat', _metadata, lambda path: imdb_wiki.read_metadata(path, 'wiki'), share=10),
)


def sample(reader, folder):
    """Make the sound sample in a new folder; return the file's path."""
    folder.mkdir(parents=True)
    reader.make(folder)
    return Path(folder) / reader.name
