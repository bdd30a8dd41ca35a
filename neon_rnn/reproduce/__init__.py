"""Train the rows of the published table: plan the runs, estimate their time, train them.

Every run is a process of its own (``python -m neon_rnn train ...``), so a row that fails or runs
out of memory takes nothing with it. The plan is read off the run records: finished runs of the same
configuration are not repeated, and interrupted ones go on from their last checkpoint.
"""

from neon_rnn.reproduce.execution import execute
from neon_rnn.reproduce.jobs import Job, Settings, plan, summary

__all__ = ['Job', 'Settings', 'execute', 'plan', 'summary']
