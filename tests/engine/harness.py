"""Helpers that drive layers: build, forward, gradients in neon's layout, finite differences."""

import numpy as np
import torch


def build(nn, layers, input_shape):
    """An initialised model of `layers`."""
    model = nn.Model(layers)
    model.initialize(input_shape)
    return model


def randomise(nn, model, seed=1, scale=0.5):
    """Give every weight a value other than zero, biases included; the variance stays positive."""
    rng = np.random.RandomState(seed)
    weights = nn.get_weights(model)
    for name, values in weights.items():
        drawn = rng.normal(0, scale, values.shape)
        weights[name] = (np.abs(drawn) + 0.1 if name.endswith('gvar') else drawn).astype(
            values.dtype
        )
    nn.set_weights(model, weights)
    return weights


def forward(model, x, training=False):
    """Apply the layers to images (N, C, H, W), features (N, F) or sequences (N, F, T).

    Returns a NumPy array.
    """
    model.layers.train(training)
    with torch.no_grad():
        return model.layers(torch.as_tensor(x)).numpy().copy()


def gradients(model, x, error, training=True):
    """Return the gradients of sum(output * error).

    That of x, then name -> that of the parameter in neon's shape.
    """
    model.layers.train(training)
    for parameter in model.parameters:
        parameter.grad = None
    images = torch.as_tensor(x).clone().requires_grad_()
    (model.layers(images) * torch.as_tensor(error)).sum().backward()
    return images.grad.numpy(), packed_gradients(model)


def packed_gradients(model):
    """Return name -> gradient of every trained parameter in neon's shape; a missing one is zero."""
    return {
        weight.name: weight.pack(
            [
                torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
                for tensor in weight.tensors
            ]
        )
        .numpy()
        .copy()
        for weight in model.weights
        if weight.trained
    }


def differences(function, values, step=1e-6):
    """Return the central differences of a scalar function of an array, element by element.

    `values` is restored.
    """
    result = np.zeros_like(values)
    for index in np.ndindex(*values.shape):
        kept = values[index]
        values[index] = kept + step
        above = function()
        values[index] = kept - step
        below = function()
        values[index] = kept
        result[index] = (above - below) / (2 * step)
    return result


def check_gradients(nn, model, x, tolerance=1e-7, skip=()):
    """Compare backward passes with finite differences.

    For the input and for every element of every parameter.
    """
    x = np.array(x)
    error = np.random.RandomState(5).normal(size=forward(model, x, training=True).shape)
    weights = nn.get_weights(model)

    def objective():
        nn.set_weights(model, weights)
        return float((forward(model, x, training=True) * error).sum())

    of_x, of_parameters = gradients(model, x, error)
    expected = differences(objective, x)
    np.testing.assert_allclose(of_x, expected, atol=tolerance * np.abs(expected).max(), rtol=0)
    assert np.abs(expected).max() > 0
    for name, gradient in of_parameters.items():
        if name not in skip:
            expected = differences(objective, weights[name])
            scale = np.abs(expected).max()
            assert scale > 0, name
            np.testing.assert_allclose(
                gradient, expected, atol=tolerance * scale, rtol=0, err_msg=name
            )
