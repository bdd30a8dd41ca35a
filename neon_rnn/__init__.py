"""neon_rnn: the recurrent gender classifier of 2018, on Intel neon 2.6 and on PyTorch with neon's
arithmetic.
"""

__version__ = '1.0.0'
