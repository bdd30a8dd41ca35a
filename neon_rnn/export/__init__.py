"""Write a trained run in formats of other programs, and check what was written."""

from neon_rnn.export.write import FORMATS, TOLERANCE, Export, export_run

__all__ = ['FORMATS', 'TOLERANCE', 'Export', 'export_run']
