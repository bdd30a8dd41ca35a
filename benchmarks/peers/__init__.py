"""The peers: the same networks as their users would write them, one module for each library.

Each builds a network from a description (`benchmarks.describing`) and its arrays, and shares no
code with the engines. It has ``train_step(inputs, labels)``, ``predict(inputs)`` and
``parameters()``, which returns arrays by the names of the description; those that only predict
have ``predict``. What each needs is in peers.txt.
"""
