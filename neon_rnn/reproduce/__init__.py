"""Train the rows of the published table: what there is to do, how long it takes, and doing it.

Every run is a process of its own (``python -m neon_rnn train ...``), so a row that fails or runs out of memory takes
nothing with it. What was done is read off the run records: runs of the same configuration that are finished are not
repeated, those that broke off go on from their last checkpoint.
"""

from neon_rnn.reproduce.execution import execute
from neon_rnn.reproduce.jobs import Job, Settings, plan, summary

__all__ = ['Job', 'Settings', 'execute', 'plan', 'summary']
