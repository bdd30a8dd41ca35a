"""Cost, optimiser, schedule, the training step, and the gradient of the whole published network."""

import math

import harness
import numpy as np
import pytest
import reference
import torch

from neon_rnn.engines.torch import step as engine_step
from neon_rnn.engines.torch.fast.cuda_graph import can_record
from neon_rnn.models.rnn import generate_rnn_cls_model
from neon_rnn.support.errors import NeonRnnError

SHAPE = (3, 32, 64)


def batch(count=4, shape=SHAPE, seed=3):
    rng = np.random.RandomState(seed)
    return rng.randint(0, 256, size=(count, math.prod(shape))).astype(np.uint8), rng.randint(
        0, 2, size=count
    )


def small_model(nn, classes=3):
    """A linear classifier of 5 features with its cost."""
    model = nn.Model(
        nn.Affine(
            classes, init=nn.Gaussian(scale=0.01), bias=nn.Constant(0), activation=nn.Softmax()
        )
    )
    model.initialize((5,), nn.GeneralizedCost(nn.CrossEntropyMulti()))
    return model


def published(nn, shape=SHAPE, seed=0, threads=1, precision='float32', batch_size=4):
    nn.start('cpu', batch_size=batch_size, rng_seed=seed, precision=precision, threads=threads)
    model, cost = generate_rnn_cls_model(input_shape=shape, nn=nn)
    model.initialize(shape, cost)
    return model


# Cost


def test_cost_is_the_mean_of_minus_log_p(nn):
    y = torch.tensor([[0.2, 0.8], [0.9, 0.1], [0.5, 0.5]], dtype=torch.float64)
    cost = nn.GeneralizedCost(nn.CrossEntropyMulti())(y, torch.tensor([1, 1, 0]))
    assert float(cost) == pytest.approx(
        -(math.log(0.8) + math.log(0.1) + math.log(0.5)) / 3, rel=1e-15
    )


def test_cost_of_a_certain_mistake_is_finite_as_neons_safelog_makes_it(nn):
    y = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert float(nn.CrossEntropyMulti()(y, torch.tensor([1]))) == pytest.approx(50, rel=1e-15)


def test_softmax_and_cost_hand_back_y_minus_t_over_the_batch(nn):
    """Also where the probability of the right class is 0 and the logarithm has no slope."""
    x = np.array([[1.0, 2, 0.5], [800, 0, -1], [0.1, 0.2, 0.3], [3, 3, 3]])
    labels = np.array([1, 2, 0, 1])
    model = harness.build(nn, [nn.Activation(nn.Softmax())], (3,))
    given = torch.tensor(x, requires_grad=True)
    nn.GeneralizedCost(nn.CrossEntropyMulti())(model.layers(given), torch.tensor(labels)).backward()
    expected = (reference.softmax(x) - np.eye(3)[labels]) / 4
    np.testing.assert_allclose(given.grad.numpy(), expected, atol=1e-16)
    assert expected[1, 2] == -0.25


def test_the_shortcut_is_the_gradient_of_the_cost(nn):
    x, labels = np.random.RandomState(3).normal(size=(4, 3)), np.array([1, 2, 0, 1])
    model = harness.build(nn, [nn.Activation(nn.Softmax())], (3,))
    given = torch.tensor(x, requires_grad=True)
    cost = nn.GeneralizedCost(nn.CrossEntropyMulti())
    cost(model.layers(given), torch.tensor(labels)).backward()
    expected = harness.differences(lambda: reference.cross_entropy(reference.softmax(x), labels), x)
    np.testing.assert_allclose(given.grad.numpy(), expected, atol=1e-9)


# Optimiser and schedule


@pytest.mark.parametrize(
    ('steps', 'change', 'rates'),
    [
        (None, 1.0, [0.8, 0.8, 0.8, 0.8, 0.8]),
        ([2, 4], 0.5, [0.8, 0.8, 0.4, 0.4, 0.2]),
        ([0, 1], 0.1, [0.08] + [0.008] * 4),
    ],
)
def test_schedule(nn, steps, change, rates):
    schedule = nn.Schedule(step_config=steps, change=change)
    assert [schedule.get_learning_rate(0.8, epoch) for epoch in range(5)] == pytest.approx(
        rates, rel=1e-14
    )


def parameters_with(gradients, seed=5):
    rng = np.random.RandomState(seed)
    values = [rng.normal(size=np.shape(gradient)) for gradient in gradients]
    parameters = [torch.nn.Parameter(torch.tensor(value)) for value in values]
    return values, parameters


def give(parameters, gradients):
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)


@pytest.mark.parametrize('momentum', [0.9, 0.0])
def test_momentum_and_weight_decay_over_several_steps(nn, momentum):
    rng = np.random.RandomState(8)
    gradients = [[rng.normal(size=(3, 2)), rng.normal(size=4)] for _ in range(4)]
    values, parameters = parameters_with(gradients[0])
    velocities = [0, 0]
    optimizer = nn.GradientDescentMomentum(
        0.1, momentum_coef=momentum, wdecay=0.05, schedule=nn.Schedule([2], 0.5)
    )
    for epoch, given in enumerate(gradients):
        give(parameters, given)
        optimizer.optimize(parameters, epoch)
        for i, gradient in enumerate(given):
            values[i], velocities[i] = reference.momentum_step(
                values[i], velocities[i], gradient, 0.1 if epoch < 2 else 0.05, momentum, 0.05
            )
            np.testing.assert_allclose(parameters[i].detach().numpy(), values[i], atol=1e-15)
            np.testing.assert_allclose(
                optimizer.velocity[parameters[i]].numpy(), velocities[i], atol=1e-15
            )


def test_without_a_gradient_weight_decay_and_momentum_go_on(nn):
    values, (parameter,) = parameters_with([np.zeros(3)])
    optimizer = nn.GradientDescentMomentum(0.1, momentum_coef=0.5, wdecay=0.2)
    optimizer.optimize([parameter], 0)
    first, velocity = reference.momentum_step(values[0], 0, 0, 0.1, 0.5, 0.2)
    np.testing.assert_allclose(parameter.detach().numpy(), first, atol=1e-16)
    optimizer.optimize([parameter], 0)
    np.testing.assert_allclose(
        parameter.detach().numpy(),
        reference.momentum_step(first, velocity, 0, 0.1, 0.5, 0.2)[0],
        atol=1e-16,
    )


@pytest.mark.parametrize('of_parameter', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('of_gradient', [torch.contiguous_format, torch.channels_last])
def test_a_gradient_may_have_another_memory_format(nn, of_parameter, of_gradient):
    drawn, gradient = np.random.RandomState(0).normal(size=(2, 6, 4, 3, 3))
    parameter = torch.from_numpy(drawn).clone(memory_format=of_parameter).requires_grad_()
    given = torch.from_numpy(gradient).contiguous(memory_format=of_gradient)
    optimizer = nn.GradientDescentMomentum(0.1, momentum_coef=0.9, wdecay=0.01)
    values, velocity = drawn, 0
    for _ in range(3):
        parameter.grad = given.clone(memory_format=torch.preserve_format)
        assert parameter.grad.stride() == given.stride()
        optimizer.optimize([parameter], 0)
        values, velocity = reference.momentum_step(values, velocity, gradient, 0.1, 0.9, 0.01)
        np.testing.assert_allclose(parameter.detach().numpy(), values, atol=1e-14)


@pytest.mark.parametrize(('norm', 'value'), [(2.0, None), (100.0, None), (None, 0.5), (2.0, 0.5)])
def test_clipping(nn, norm, value):
    """The norm is taken over all parameters before the values are clipped, and scales after."""
    gradients = [np.array([3.0, -0.2]), np.array([[-4.0], [0.1]])]
    values, parameters = parameters_with(gradients)
    give(parameters, gradients)
    nn.GradientDescentMomentum(
        0.1, 0.9, gradient_clip_norm=norm, gradient_clip_value=value
    ).optimize(parameters, 0)
    total = math.sqrt(9 + 0.04 + 16 + 0.01)
    scale = norm / max(total, norm) if norm else 1
    for parameter, before, gradient in zip(parameters, values, gradients, strict=True):
        clipped = np.clip(gradient, -value, value) if value else gradient
        np.testing.assert_allclose(
            parameter.detach().numpy(), before - 0.1 * scale * clipped, atol=1e-15
        )


# Training step


def test_train_step_is_the_written_out_step(nn):
    """Three steps of a linear classifier: costs and weights."""
    model, optimizer = (
        small_model(nn),
        nn.GradientDescentMomentum(0.001, momentum_coef=0.9, wdecay=0.1),
    )
    weights = nn.get_weights(model)
    w, b = weights['0.W'], weights['1.W'][:, 0]
    velocity = [0, 0]
    for step in range(3):
        rng = np.random.RandomState(step)
        inputs, labels = (
            rng.randint(0, 256, size=(4, 5)).astype(np.uint8),
            rng.randint(0, 3, size=4),
        )
        y = reference.softmax(inputs @ w.T + b)
        error = (y - np.eye(3)[labels]) / 4
        cost = nn.train_step(model, inputs, labels, optimizer, epoch=0)
        assert float(cost) == pytest.approx(reference.cross_entropy(y, labels), rel=1e-12)
        w, velocity[0] = reference.momentum_step(w, velocity[0], error.T @ inputs, 0.001, 0.9, 0.1)
        b, velocity[1] = reference.momentum_step(b, velocity[1], error.sum(axis=0), 0.001, 0.9, 0.1)
        np.testing.assert_allclose(nn.get_weights(model)['0.W'], w, atol=1e-13)
        np.testing.assert_allclose(nn.get_weights(model)['1.W'][:, 0], b, atol=1e-13)


def test_training_learns(nn32):
    """Bright against dark images: a dozen steps are enough."""
    model = published(nn32, (3, 32, 32), batch_size=8)
    optimizer = nn32.GradientDescentMomentum(0.01, 0.9, wdecay=0.0005)
    labels = np.arange(8) % 2
    noise = np.random.RandomState(0).randint(-20, 20, size=(8, 3 * 32 * 32))
    inputs = (80 + 80 * labels[:, None] + noise).astype(np.uint8)
    costs = [float(nn32.train_step(model, inputs, labels, optimizer, 0)) for _ in range(12)]
    assert costs[0] == pytest.approx(math.log(2), abs=0.2)
    assert costs[-1] < 0.25 * costs[0]


def test_predict_takes_any_number_of_images_and_changes_nothing(nn):
    model = published(nn, (3, 32, 32), precision='float64')
    inputs, labels = batch(9, (3, 32, 32))
    nn.train_step(model, inputs[:4], labels[:4], nn.GradientDescentMomentum(0.01, 0.9), 0)
    before = nn.get_weights(model)
    everything = nn.predict(model, inputs)
    assert (everything.dtype, everything.shape) == (np.float32, (9, 2))
    np.testing.assert_allclose(everything.sum(axis=1), 1, atol=1e-6)
    assert len(np.unique(everything[:, 0])) > 1, 'the images are told apart'
    for part in (slice(0, 1), slice(3, 8)):
        np.testing.assert_allclose(nn.predict(model, inputs[part]), everything[part], atol=1e-7)
    assert nn.predict(model, inputs[:0]).shape == (0, 2)
    after = nn.get_weights(model)
    assert all((after[name] == before[name]).all() for name in before)


def test_want_of_memory_names_the_batch_size(nn32, monkeypatch):
    """PyTorch raises one error on a processor, another on a GPU; other errors pass through."""
    model, optimizer = published(nn32, (3, 32, 32)), nn32.GradientDescentMomentum(0.01, 0.9)
    inputs, labels = batch(4, (3, 32, 32))
    monkeypatch.setattr(engine_step, 'predictor', lambda model: None)  # the layers predict
    for error in (lambda: torch.empty(2**60), torch.OutOfMemoryError('CUDA out of memory.')):

        def forward(x, error=error):
            if callable(error):
                return error()
            raise error

        monkeypatch.setattr(model.layers, 'forward', forward)
        for call in (
            lambda: nn32.train_step(model, inputs, labels, optimizer, 0),
            lambda: nn32.predict(model, inputs),
        ):
            with pytest.raises(
                NeonRnnError,
                match='not enough memory for minibatches of .* on cpu; choose a smaller -z',
            ):
                call()
    monkeypatch.setattr(model.layers, 'forward', lambda x: torch.zeros(2) + torch.zeros(3))
    with pytest.raises(RuntimeError, match='must match'):
        nn32.predict(model, inputs)


@pytest.mark.parametrize('threads', [1, 2])
def test_the_same_seed_gives_the_same_bits(nn32, threads):
    def run():
        model, optimizer = (
            published(nn32, (3, 32, 32), 1, threads),
            nn32.GradientDescentMomentum(0.01, 0.9, wdecay=0.0005),
        )
        costs = [
            float(nn32.train_step(model, *batch(4, (3, 32, 32), step), optimizer, 0))
            for step in range(2)
        ]
        return costs, nn32.get_weights(model), nn32.predict(model, batch(5, (3, 32, 32))[0])

    costs, weights, probabilities = run()
    again, weights_again, probabilities_again = run()
    assert costs == again
    assert costs[0] != costs[1]
    assert all((weights[name] == weights_again[name]).all() for name in weights)
    np.testing.assert_array_equal(probabilities, probabilities_again)


# The whole network


def test_gradient_of_the_whole_network_is_the_finite_difference(nn):
    """In float64, on a map that is not square: derivatives along random directions.

    That of the cost, along one direction of every parameter.

    A direction has a component in every element, so every element counts; the step is small enough
    that no rectifier or maximum changes sides.
    """
    model = published(nn, precision='float64')
    inputs, labels = batch()
    images = torch.tensor(inputs.reshape(-1, *SHAPE), dtype=torch.float64)
    rng = np.random.RandomState(4)
    weights = nn.get_weights(model)
    for name, values in weights.items():
        if name.split('.')[-1] in (
            'weight_bias',
            'beta',
            'gamma',
        ):  # away from 0 and 1, where they start
            values += rng.normal(0, 0.1, values.shape)
    nn.set_weights(model, weights)

    def cost():
        model.layers.train()
        return model.cost(model.layers(images), torch.tensor(labels))

    cost().backward()
    gradients = harness.packed_gradients(model)
    assert (
        len(gradients) == 10 + 2 * 7 + 4
    )  # five convolutions with bias, seven batch norms, four networks
    step = 1e-7
    for name, gradient in gradients.items():
        kept = weights[name]
        direction = rng.normal(size=kept.shape) / math.sqrt(kept.size)
        around = []
        for sign in (1, -1):
            nn.set_weights(model, dict(weights, **{name: kept + sign * step * direction}))
            with torch.no_grad():
                around.append(float(cost()))
        expected = (around[0] - around[1]) / (2 * step)
        size = np.linalg.norm(gradient) / math.sqrt(kept.size)
        assert size > 0, name
        # 1e-15 / step is what rounding of the cost leaves in the quotient.
        assert (gradient * direction).sum() == pytest.approx(
            expected, rel=1e-5, abs=1e-5 * size + 1e-8
        ), name


def test_train_step_uses_that_gradient(nn):
    """From zero momentum and decay the change of a step is -learning rate * gradient."""
    model = published(nn, precision='float64')
    inputs, labels = batch()
    before = nn.get_weights(model)
    model.layers.train()
    model.cost(
        model.layers(torch.tensor(inputs.reshape(-1, *SHAPE), dtype=torch.float64)),
        torch.tensor(labels),
    ).backward()
    gradients = harness.packed_gradients(model)
    nn.set_weights(model, before)
    nn.train_step(model, inputs, labels, nn.GradientDescentMomentum(0.01, 0.9), 0)
    after = nn.get_weights(model)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(
            after[name] - before[name], -0.01 * gradient, atol=1e-15, err_msg=name
        )


def test_each_optimiser_gets_a_step_graph_of_its_own(nn32, monkeypatch):
    """Its velocities have to exist before a step is recorded; a fake graph replaces the GPU's."""
    steps = []

    class Graph:
        def __call__(self, step, inputs, labels, key):
            steps.append((self, len(key)))
            return step(inputs, labels)

    monkeypatch.setattr(engine_step, 'can_record', lambda layers: True)
    monkeypatch.setattr(engine_step, 'StepGraph', Graph)
    model = small_model(nn32, classes=2)
    for _ in range(2):
        optimizer = nn32.GradientDescentMomentum(0.1, 0.9)
        for _ in range(2):
            nn32.train_step(model, *batch(shape=(5,)), optimizer, 0)
    graphs, lengths = zip(*steps, strict=True)
    assert graphs[0] is graphs[1]
    assert graphs[1] is not graphs[2]
    assert graphs[2] is graphs[3]
    assert lengths == (
        1,
        3,
        1,
        3,
    )  # the rate, and the addresses of two velocities from the second step on


def test_a_step_is_recorded_on_a_gpu_only(nn32):
    assert not can_record(small_model(nn32).layers)
