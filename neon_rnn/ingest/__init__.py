"""Photographs in, data set folders out: one file a source, the HDF5 writer, the demo portraits."""
