"""A generator that neon makes with its backend and uses in `fill_normal` only."""

from cuda_on_cpu import NotSupported


class MRG32k3aRandomNumberGenerator(object):
    """The generator; drawing from it is refused."""

    def __getattr__(self, name):
        raise NotSupported('MRG32k3aRandomNumberGenerator.{}'.format(name))
