"""Selects photographs for the parts of a data set: duplicates, split, balance."""

import collections
from collections.abc import Iterable, Sequence

import numpy as np

from neon_rnn.data import images
from neon_rnn.data.dataset import PARTS
from neon_rnn.ingest import jpeg, split
from neon_rnn.ingest.near_duplicates import SIGNATURE_LENGTH, near_groups
from neon_rnn.ingest.settings import ImportSettings
from neon_rnn.ingest.source import Dropped, Listing, Photograph
from neon_rnn.ingest.spool import Decoded, Outcome, Spool
from neon_rnn.support.errors import UsageError

DUPLICATE = 'duplicate: the same picture again'
CONTRADICTORY = 'duplicate with another label (all copies)'
NEAR_DUPLICATE = 'near-duplicate: almost the same picture again'
NEAR_CONTRADICTORY = 'near-duplicate with another label (all copies)'
SURPLUS = 'surplus of the larger class ({} part balanced)'
_PART_WORDS = {'train': 'training', 'test': 'test', 'val': 'validation'}
#: A copy in an earlier part is kept rather than one in a later part.
_PREFERENCE = {'test': 0, 'val': 1, 'train': 2, '': 3}


def select(
    listing: Listing,
    outcomes: Sequence[Outcome],
    spool: Spool,
    settings: ImportSettings,
    dropped: Dropped,
) -> dict[str, np.ndarray]:
    """Choose the photographs of each part; note all others in `dropped`.

    Returns
    -------
    dict
        For each part the indices of its photographs, in the order of its file.

    Raises
    ------
    UsageError
        A class has no photograph in the training part or in the test part.
    """
    photographs = listing.photographs
    dropped.expect(
        images.UNREADABLE,
        images.NOT_AN_IMAGE,
        images.DAMAGED,
        jpeg.CORRUPT,
        images.TOO_LARGE,
        images.TOO_SMALL,
    )
    copies = collections.defaultdict(list)
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, Decoded):
            copies[outcome.sha256].append(index)
        else:
            dropped.add(outcome.reason, photographs[index].name, outcome.detail)
    kept = _one_of_each(copies.values(), photographs, dropped, DUPLICATE, CONTRADICTORY)
    if not settings.keep_near_duplicates:
        signatures = [outcomes[index].signature for index in kept]  # type: ignore[union-attr]
        groups = near_groups(
            np.frombuffer(bytes.fromhex(''.join(signatures)), np.uint8).reshape(
                -1, SIGNATURE_LENGTH
            ),
            lambda pair: spool.read(kept[pair]),
        )
        kept = _one_of_each(
            [kept[group] for group in groups],
            photographs,
            dropped,
            NEAR_DUPLICATE,
            NEAR_CONTRADICTORY,
        )
    if not len(kept):
        raise UsageError(f'{listing.root}: no usable photographs. {dropped.main_reason()}')
    labels = np.array([photographs[index].label for index in kept])
    parts = _parts([photographs[index] for index in kept], labels, settings)
    for part in [] if settings.balance is None else PARTS:
        if part == 'train' or settings.balance == 'both':
            members = np.flatnonzero(parts == part)
            surplus = members[~split.balanced(labels[members], settings.seed)]
            parts[surplus] = ''
            for index in kept[surplus]:
                dropped.add(SURPLUS.format(_PART_WORDS[part]), photographs[index].name)
    for label, class_name in enumerate(listing.class_names):
        for part in (split.TRAIN, split.TEST, *([split.VAL] if split.VAL in parts else [])):
            if not np.any((labels == label) & (parts == part)):
                raise UsageError(
                    f'{listing.root}: no usable photograph of class {class_name!r} for the {part} '
                    f'part; each part needs every class. {dropped.main_reason()}'
                )
    return {
        part: kept[parts == part][
            split.file_order(int(np.sum(parts == part)), settings.seed, number)
        ]
        for number, part in enumerate(PARTS)
        if np.any(parts == part)
    }


def _one_of_each(
    groups: Iterable[Iterable[int]],
    photographs: Sequence[Photograph],
    dropped: Dropped,
    duplicate: str,
    contradictory: str,
) -> np.ndarray:
    """Keep one photograph of each group of copies: a tested one if there is one, else the first.

    If the copies have different labels, all are dropped: nobody knows which one is right.
    """
    dropped.expect(duplicate, contradictory)
    kept = []
    for group in groups:
        first, *others = sorted(
            map(int, group), key=lambda index: (_PREFERENCE[photographs[index].part], index)
        )
        same_label = all(photographs[index].label == photographs[first].label for index in others)
        if same_label:
            kept.append(first)
        else:
            others.insert(0, first)
        for index in others:
            dropped.add(
                duplicate if same_label else contradictory,
                photographs[index].name,
                photographs[first].name,
            )
    return np.array(sorted(kept), dtype=np.int64)


def _parts(
    photographs: Sequence[Photograph], labels: np.ndarray, settings: ImportSettings
) -> np.ndarray:
    """Return the part of each photograph: the source's own, or by a random split."""
    parts = np.array([photograph.part for photograph in photographs], dtype='U8')
    if parts.all():
        return parts
    persons = [
        photograph.person if settings.split == 'people' else '' for photograph in photographs
    ]
    in_test = split.split_people(labels, persons, settings.test_fraction, settings.seed)
    parts = np.where(in_test, split.TEST, split.TRAIN).astype('U8')
    if settings.val_fraction:
        rest = np.flatnonzero(~in_test)
        share = settings.val_fraction / (1 - settings.test_fraction)
        in_val = split.split_people(
            labels[rest], [persons[index] for index in rest], share, settings.seed
        )
        parts[rest[in_val]] = split.VAL
    return parts
