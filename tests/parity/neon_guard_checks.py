"""The neon engine uses only names that NervanaGPU and GPUTensor have; no GPU is needed.

    PYTHONPATH=. /path/to/neon/python tests/parity/neon_guard_checks.py

The names are read from neon's source, so that CUDA is not imported. The guard stands on neon's
NumPy backend, which has more.
"""

import ast
import contextlib
import os
import sys

import numpy as np
from neon_layers import (
    CELLS,
    SHAPE,
    layer_of,
    nn,
    params,
    refused,
    run_checks,
    standing_alone,
    start,
)

from neon_rnn.engines.neon import library, spatial_rnn

ENGINE = os.path.dirname(os.path.realpath(spatial_rnn.__file__))


def source_of(path):
    with open(path, encoding='utf-8') as file:
        return ast.parse(file.read())


def names_of_gpu_classes():
    """Return the names of NervanaGPU, the names of GPUTensor, and GPUTensor.reshape's rule.

    Both with the names that they inherit.
    """
    classes, functions = {}, []
    for name in ('abstract_backend', 'backend', 'nervanagpu'):
        for node in source_of(
            os.path.join(os.path.dirname(library.neon.backends.__file__), name + '.py')
        ).body:
            if isinstance(node, ast.ClassDef):
                classes[node.name] = node
            elif isinstance(node, ast.FunctionDef) and node.name in (
                '_contiguous_strides',
                '_reshape_strides',
            ):
                functions.append(node)

    def names(name):
        node = classes[name]
        found = {
            target.id
            for part in node.body
            if isinstance(part, ast.Assign)
            for target in part.targets
        }
        for part in ast.walk(node):
            if isinstance(part, ast.FunctionDef):
                found.add(part.name)
            elif (
                isinstance(part, ast.Attribute)
                and isinstance(part.ctx, ast.Store)
                and isinstance(part.value, ast.Name)
                and part.value.id == 'self'
            ):
                found.add(part.attr)
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id in classes:
                found |= names(base.id)
        return found

    rules = {'np': np}
    exec(compile(ast.Module(body=functions), 'nervanagpu.py', 'exec'), rules)
    return names('NervanaGPU'), names('GPUTensor'), rules['_reshape_strides']


class Guard(object):
    """Records the names that the engine's own files use of the backend and of tensors.

    Attributes
    ----------
    used : set of str
        Every name.
    missing : list of str
        Those that the gpu classes do not have, with file and line.
    """

    def __init__(self):
        self.used, self.missing = set(), []
        self.backend_names, self.tensor_names, self._reshape_strides = names_of_gpu_classes()

    @contextlib.contextmanager
    def over(self, be):
        """Watch a backend of neon's NumPy kind and its tensors."""
        kinds = ((type(be), self.backend_names), (be.tensor_cls, self.tensor_names))
        for kind, names in kinds:
            kind.__getattribute__ = self._look(kind, names)
        try:
            yield self
        finally:
            for kind, _ in kinds:
                del kind.__getattribute__

    def _look(self, kind, names):
        plain = kind.__getattribute__

        def look(asked, name):
            caller = sys._getframe(1)
            file = os.path.realpath(caller.f_code.co_filename)
            if os.path.dirname(file) == ENGINE:
                self.used.add(name)
                if name not in names and not name.startswith('__'):
                    self.missing.append(
                        '{}.{} ({}, line {})'.format(
                            kind.__name__, name, os.path.basename(file), caller.f_lineno
                        )
                    )
                if name == 'reshape':
                    return lambda *shape: self._reshape(asked, *shape)
            return plain(asked, name)

        return look

    def _reshape(self, tensor, *shape):
        """Reshape a tensor; raise ValueError where GPUTensor.reshape does."""
        shape = tuple(shape[0]) if isinstance(shape[0], (tuple, list)) else shape
        strides = tuple(stride // tensor.dtype.itemsize for stride in tensor._tensor.strides)
        if shape != tensor.shape:
            self._reshape_strides(strides, tensor.shape, shape)
        return type(tensor).reshape(tensor, *shape)


def test_every_cell_forward_and_backward():
    for cell in CELLS:
        be = start('numpy', 'float32')
        with Guard().over(be) as guard:
            layer, x, e = standing_alone(be, cell)
            forward = layer.fprop(be.array(x)).get()
            layer.fprop(be.array(x), inference=True, beta=1.0)
            assert {'copy_transpose', 'iobuf', 'reshape', 'bsz'} <= guard.used, (cell, guard.used)
            guard.used.clear()
            layer.fprop(be.array(x))
            backward = layer.bprop(be.array(e)).get()
            layer.bprop(be.array(e), alpha=0.5, beta=1.0)
            assert {'copy_transpose', 'reshape'} <= guard.used, (cell, guard.used)
        assert not guard.missing, (cell, guard.missing)
        assert np.ptp(forward) > 0, cell
        assert np.ptp(backward) > 0, cell


def test_a_training_step_prediction_and_everything_saved():
    """Inputs and labels, weights, the optimiser's state, random numbers."""
    be = start('numpy', 'float32')
    model = nn.Model(
        [
            nn.DataTransform(transform=nn.Normalizer(divisor=128.0)),
            nn.Conv(
                (3, 3, 2),
                init=nn.Kaiming(),
                bias=nn.Constant(0),
                padding=1,
                activation=nn.Rectlin(),
            ),
            nn.BatchNorm(),
            nn.Sequential([layer_of(), nn.SpatialRNN((6, 3, 2), (6, 1, 1), nn.GRU, params('GRU'))]),
            nn.Affine(nout=2, init=nn.GlorotUniform(), activation=nn.Softmax()),
        ]
    )
    optimizer = nn.GradientDescentMomentum(0.01, momentum_coef=0.9)
    images = np.random.RandomState(1).randint(0, 256, (7, int(np.prod(SHAPE)))).astype(np.uint8)
    with Guard().over(be) as guard:
        model.initialize(SHAPE, nn.GeneralizedCost(nn.CrossEntropyMulti()))
        for _ in range(2):
            nn.train_step(model, images[: be.bsz], np.arange(be.bsz) % 2, optimizer, 0)
        nn.predict(model, images)
        nn.set_weights(model, nn.get_weights(model))
        nn.set_optimizer_state(model, optimizer, nn.get_optimizer_state(model, optimizer))
        nn.set_random_state(nn.get_random_state())
    assert {'set', 'get', 'clean_data', 'zeros_like', 'rng'} <= guard.used, guard.used
    assert not guard.missing, guard.missing


def test_operators_and_imports():
    """The guard does not see operators, so they are listed here; NumPy is not imported."""
    _, tensor_names, _ = names_of_gpu_classes()
    assert {'__setitem__', '__add__', '__rmul__'} <= tensor_names
    cells = ('base.py', 'gated.py', 'lecture_cells.py')
    for name in ('spatial_rnn.py', 'sweep.py') + tuple('recurrent/' + each for each in cells):
        modules = set()
        for node in ast.walk(source_of(os.path.join(ENGINE, name))):
            if isinstance(node, ast.Import):
                modules.update(alias.name.split('.')[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module.split('.')[0])
        assert modules <= {'collections', 'contextlib', 'neon', 'neon_rnn'}, (name, modules)


def test_the_guard_notices():
    """Names that only the NumPy backend has: private arrays, reshapes that copy, others."""
    be = start('numpy', 'float32')
    names = {'be': be, 'tensor': be.array(np.arange(6.0).reshape(2, 3))}

    def ask(expression, file='spatial_rnn.py'):
        return eval(compile(expression, os.path.join(ENGINE, file), 'eval'), names)

    transposed = 'tensor.T.reshape((6, 1))'
    assert ask(transposed).shape == (6, 1)  # NumPy copies where the GPU refuses
    with Guard().over(be) as guard:
        ask('tensor.shape')
        assert not guard.missing
        ask('tensor._tensor', 'sweep.py')
        assert guard.missing == ['CPUTensor._tensor (sweep.py, line 1)']
        with refused(AttributeError, 'fill_with_magic'):
            ask('be.fill_with_magic')
        assert guard.missing[1:] == ['NervanaCPU.fill_with_magic (spatial_rnn.py, line 1)']
        with refused(ValueError, 'non-contiguous'):
            ask(transposed)
        assert names['tensor']._tensor.shape == (2, 3)  # asked from elsewhere
        assert len(guard.missing) == 2
    ask('tensor._tensor')
    assert len(guard.missing) == 2


if __name__ == '__main__':
    run_checks(globals())
