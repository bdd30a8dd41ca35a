"""Small data sets and pictures for the tests; nothing here is a photograph."""

import io
import os

import h5py
import numpy as np
from PIL import Image

from neon_rnn.ingest.output import PartData, write_dataset


def pixels(count, shape=(3, 8, 8), seed=0):
    """Random images, uint8 (count, C*H*W), all different."""
    return (
        np.random.RandomState(seed).randint(0, 256, (count, int(np.prod(shape)))).astype(np.uint8)
    )


def part_data(count, shape=(3, 8, 8), seed=0, persons=None):
    """`PartData` of random images with alternating labels, handed over in blocks of 3."""
    images = pixels(count, shape, seed)
    return PartData(
        np.arange(count) % 2,
        (images[start : start + 3] for start in range(0, count, 3)),
        ['image {}'.format(index) for index in range(count)],
        persons or [''] * count,
    )


def write_small_dataset(folder, train=10, test=4, shape=(3, 8, 8), **description):
    """A data set folder of random images; returns ``dataset.json``."""
    description = dict(
        {
            'name': 'small',
            'source': 'test',
            'kind': 'synthetic',
            'class_names': ['female', 'male'],
            'filters': [],
            'split': 'none',
            'seed': 0,
            'note': '',
        },
        **description,
    )
    return write_dataset(
        folder,
        {'train': part_data(train, shape, 0), 'test': part_data(test, shape, 1)},
        shape,
        description,
    )


def write_plain_hdf5(path, images, labels, shape, nclass=2, **changes):
    """Write an HDF5 file as another program writes it for neon.

    `changes` replaces pieces, or removes them (None).
    """
    pieces = dict(
        {
            'input': images,
            'output': np.asarray(labels).reshape(-1, 1),
            'lshape': shape,
            'nclass': nclass,
        },
        **changes,
    )
    with h5py.File(str(path), 'w') as file:
        for name in ('input', 'output', 'mean'):
            if pieces.get(name) is not None:
                file.create_dataset(name, data=pieces[name])
        if pieces['lshape'] is not None and 'input' in file:
            file['input'].attrs['lshape'] = pieces['lshape']
        if pieces['nclass'] is not None and 'output' in file:
            file['output'].attrs['nclass'] = pieces['nclass']


def write_plain_parts(folder, images, labels, shape):
    """Write the same images as ``train.h5`` and ``test.h5`` of a data set folder."""
    for part in ('train', 'test'):
        write_plain_hdf5(os.path.join(str(folder), part + '.h5'), images, labels, shape)


def picture(seed=0, size=(64, 48), mode='RGB'):
    """A smooth random picture (so that JPEG keeps it well), different for each seed."""
    random = np.random.RandomState(seed)
    small = Image.fromarray(random.randint(0, 256, (5, 5, 3)).astype(np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC).convert(mode)


def encoded(image, format='JPEG', **options):
    """The bytes of an image file."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def write_picture(path, seed=0, size=(64, 48), format='JPEG', **options):
    """Write a picture file, making its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(picture(seed, size), format, **options))
    return path


def class_folders(root, per_class=10, classes=('female', 'male'), size=(64, 48)):
    """A folder as ``data folder`` takes it; every picture is different."""
    for label, name in enumerate(classes):
        for index in range(per_class):
            write_picture(
                root / name / '{:03d}.jpg'.format(index), seed=1000 * label + index, size=size
            )
    return root
