"""The laboratory of neon_rnn: it imports the package, which never imports it.

`__main__` starts a benchmark, `command` reads its options. `suite` measures the parts that were
asked for; `measure` asks the workers of the variants in turn; `report` writes the result.
"""
