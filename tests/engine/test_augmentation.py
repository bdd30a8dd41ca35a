"""`augmented`: what flip and crop do to images, and that nothing but seed and epoch decides it."""

import numpy as np
import pytest
import torch

SHAPE = (3, 32, 48)
COUNT = 4  # the batch size of the fixture `nn`


@pytest.fixture
def images():
    pixels = np.random.RandomState(0).randint(0, 256, (COUNT, int(np.prod(SHAPE))))
    return pixels.astype(np.uint8)


def changed(nn, images, kinds, seed=1, epoch=1, minibatches=1):
    batches = [(images, np.zeros(COUNT, np.int64), COUNT)] * minibatches
    found = [inputs for inputs, _, _ in nn.augmented(batches, kinds, SHAPE, seed, epoch)]
    assert all(each.dtype == torch.uint8 and each.shape == images.shape for each in found)
    return np.concatenate([each.numpy() for each in found]).reshape(-1, *SHAPE)


def test_flip_mirrors_about_half_of_the_images(nn, images):
    found = changed(nn, images, ['flip'], minibatches=50)
    originals = np.tile(images.reshape(-1, *SHAPE), (50, 1, 1, 1))
    mirrored = (found == originals[..., ::-1]).all(axis=(1, 2, 3))
    assert ((found == originals).all(axis=(1, 2, 3)) ^ mirrored).all()
    assert 70 <= mirrored.sum() <= 130


def test_crop_moves_by_up_to_a_sixteenth_and_repeats_the_edge(nn, images):
    found = changed(nn, images, ['crop'], minibatches=20)
    originals = np.tile(images.reshape(-1, *SHAPE), (20, 1, 1, 1))
    moves = set()
    for image, original in zip(found, originals, strict=True):
        padded = np.pad(original, ((0, 0), (2, 2), (3, 3)), mode='edge')
        fits = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-3, 4)
            if (image == padded[:, 2 - down : 34 - down, 3 - right : 51 - right]).all()
        ]
        assert len(fits) == 1
        moves.add(fits[0])
    assert {down for down, _ in moves} == set(range(-2, 3))
    assert {right for _, right in moves} == set(range(-3, 4))


def test_both_together(nn, images):
    flipped = changed(nn, images, ['flip']).reshape(COUNT, -1)
    np.testing.assert_array_equal(
        changed(nn, images, ['flip', 'crop']), changed(nn, flipped, ['crop'])
    )


def test_seed_and_epoch_decide(nn, images):
    first = changed(nn, images, ['crop'])
    np.testing.assert_array_equal(first, changed(nn, images, ['crop']))
    assert not np.array_equal(first, changed(nn, images, ['crop'], seed=2))
    assert not np.array_equal(first, changed(nn, images, ['crop'], epoch=2))


def test_the_originals_stay(nn, images):
    kept = images.copy()
    changed(nn, images, ['flip', 'crop'])
    np.testing.assert_array_equal(images, kept)


def test_weighted_cross_entropy(nn):
    """The cost and the error at the softmax's input, written out."""
    logits = torch.tensor([[0.3, -0.2], [1.0, 0.5], [-0.4, 0.1]], dtype=torch.float64)
    labels = torch.tensor([0, 1, 1])
    weights = [0.5, 2.0]
    y = torch.softmax(logits, dim=1).requires_grad_()
    cost = nn.GeneralizedCost(nn.CrossEntropyMulti())
    plain = cost(y, labels)
    cost.weigh(weights)
    weighted = cost(y, labels)
    each = torch.tensor([weights[label] for label in labels], dtype=torch.float64)
    picked = y.detach()[torch.arange(3), labels]
    torch.testing.assert_close(weighted.detach(), -(each * picked.log()).mean())
    torch.testing.assert_close(plain.detach(), -picked.log().mean())
    (error,) = torch.autograd.grad(weighted, y)
    target = torch.nn.functional.one_hot(labels, 2)
    torch.testing.assert_close(error, each[:, None] * (y.detach() - target) / 3)
