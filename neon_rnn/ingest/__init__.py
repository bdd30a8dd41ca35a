"""Turns photographs into data set folders: the sources, the import, the demo portraits."""
