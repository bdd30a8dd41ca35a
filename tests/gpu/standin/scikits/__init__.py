"""The namespace that scikit-cuda 0.5 is installed in; only for the tests (docs/gpu-on-cpu.md)."""
