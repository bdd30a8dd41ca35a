"""Draw where a run's answers to photographs come from.

    neon_rnn explain results/own/runs/<run id> photo.jpg more/*.png --out explained

Each photograph gets a folder in --out with its pictures; explanations.json holds the figures.

decision.png: a square of the mean colour covers the photograph, at one place after another. Orange
parts speak for the class that was named (covered, its log-odds fall), blue ones against it.
<layer>-<network>-<direction>.png: the norm of the state of SpatialRNN at each block.

The pictures say what the network reacts to. They do not say that it is right, or fair. What such a
model must not be used for is said by 'neon_rnn predict --help'.
"""

import os
import sys

from tqdm import tqdm

from neon_rnn.commands import options
from neon_rnn.data import images, pictures
from neon_rnn.support.errors import UsageError
from neon_rnn.support.files import make_folder, write_json
from neon_rnn.support.wording import counted

#: The file of all figures.
NAME = 'explanations.json'


def add_arguments(parser):
    """Add the run, the photographs, the folder to write, and the window."""
    add = parser.add_argument
    add('run', metavar='RUN', help='a run folder with its checkpoint')
    add('images', metavar='IMAGE', nargs='+', help='image files of any size, or folders of them')
    add('--out', required=True, metavar='FOLDER', help='a new or empty folder')
    options.add_backend(parser)
    add('-z', '--batch_size', type=int, default=32, metavar='N', help='default: %(default)s')
    add(
        '--window',
        type=int,
        metavar='N',
        help='side of the square that covers the photograph, in pixels of what the network sees '
        '(default: a quarter of its side)',
    )
    add('--step', type=int, metavar='N', help='pixels between places (default: half of --window)')


def run(arguments):
    """Write the pictures and the figures; return status 1 if an image could not be read."""
    if os.path.exists(arguments.out) and (
        not os.path.isdir(arguments.out) or os.listdir(arguments.out)
    ):
        raise UsageError('{}: is not an empty folder; name a new one.'.format(arguments.out))
    found = list(pictures.find(arguments.images))
    if not found:
        raise UsageError('{}: no pictures there.'.format(', '.join(arguments.images)))
    explainer = options.modern('neon_rnn.explain.explainer', 'explain').open_run(
        arguments.run, arguments.backend, arguments.batch_size
    )
    options.note_synthetic(explainer.kind)
    make_folder(arguments.out)
    results, taken = [], {NAME}
    for path in tqdm(found, desc='explaining', unit='img', leave=False, disable=None):
        results.append(_explained(explainer, path, arguments, taken))
        if 'error' in results[-1]:
            tqdm.write('{}: {}'.format(path, results[-1]['error']), file=sys.stderr)
        else:
            tqdm.write(
                '{}: {class} {:.1f}%, {folder}/sheet.png'.format(
                    path, 100 * results[-1]['probability'], **results[-1]
                ),
                file=sys.stdout,
            )
    write_json(os.path.join(arguments.out, NAME), {'source': explainer.source, 'images': results})
    failed = sum('error' in result for result in results)
    print('{}: {}'.format(arguments.out, counted(len(results) - failed, 'image')))
    return 1 if failed else 0


def _explained(explainer, path, arguments, taken):
    """Write the pictures of an image; return its figures, or its error."""
    output = options.modern('neon_rnn.explain.output', 'explain')
    try:
        pixels = images.load(path, explainer.preprocessing)
    except images.ImageError as error:
        return {'image': _text(path), 'error': str(error)}
    explanation = explainer.explain(pixels, arguments.window, arguments.step)
    name = _folder_name(path, taken)
    files = output.write_pictures(
        os.path.join(arguments.out, name), os.path.basename(path), explanation
    )
    return dict(output.figures(explanation), image=_text(path), folder=name, files=files)


def _folder_name(path, taken):
    """Return a new name for the folder of an image, and add it to `taken`.

    No two names differ in nothing but the case of letters, which some file systems ignore.
    """
    stem = _text(os.path.splitext(os.path.basename(path))[0]).lstrip('.') or 'image'
    name, number = stem, 1
    while name.casefold() in taken:
        number += 1
        name = '{}-{}'.format(stem, number)
    taken.add(name.casefold())
    return name


def _text(path):
    """Return a path as text that can be written: bytes that are not UTF-8 as escapes."""
    return path.encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')
