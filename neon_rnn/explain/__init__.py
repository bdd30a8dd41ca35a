"""Explain a run's answers: where a decision comes from, and what the sweeps of SpatialRNN carry."""
