"""A stand-in for scikit-cuda."""
