"""Train a network: settings, the session made from them, and the one loop for both engines."""

from neon_rnn.training.loop import resume, train
from neon_rnn.training.settings import Settings, epochs_of

__all__ = ['Settings', 'epochs_of', 'resume', 'train']
