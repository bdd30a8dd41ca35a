"""Seeded mutations of files: bytes anywhere, and values anywhere in JSON."""

import copy
import json

#: Values that stand where something else is expected.
ODD = (
    None,
    True,
    -1,
    0,
    10**400,
    1e308,
    '',
    'x' * 100000,
    'a\x1b[31mb\x00',
    '\ud800',
    '\\1 \\g<9>',
    [],
    {},
    [[]],
    {'': None},
)
NESTED = 20000


def mutated_bytes(data, rng):
    """Return bytes with one to four faults, drawn from `rng` (numpy.random.RandomState)."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        if not data:
            return b''
        place, length = rng.randint(len(data)), rng.randint(1, 64)
        kind = rng.randint(7)
        if kind == 0:
            data[place] ^= 1 << rng.randint(8)
        elif kind == 1:
            del data[place:]
        elif kind == 2:
            data[place : place + length] = bytes(len(data[place : place + length]))
        elif kind == 3:
            data[place:place] = rng.bytes(length)
        elif kind == 4:
            data[place : place + length] = b'\xff' * len(data[place : place + length])
        elif kind == 5:
            data += data[place : place + length]
        else:
            del data[place : place + length]
    return bytes(data)


def mutated_json(data, rng):
    """Return JSON with one value replaced, removed or nested; some of it is not valid any more."""
    if rng.randint(4) == 0:
        return mutated_bytes(data, rng)
    value = json.loads(data)
    places = list(_places(value))
    container, key = places[rng.randint(len(places))]
    kind = rng.randint(len(ODD) + 4)
    if kind < len(ODD):
        container[key] = copy.deepcopy(ODD[kind])
    elif kind == len(ODD):
        del container[key]
    elif kind == len(ODD) + 1:
        container[key] = float('nan')
    elif kind == len(ODD) + 2:
        container[key] = 'NESTED'
    else:
        return json.dumps(container[key]).encode()
    text = json.dumps(value)
    return text.replace('"NESTED"', '[' * NESTED + ']' * NESTED).encode()


def _places(value):
    """Iterate over (container, key) of every value inside a JSON value."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])
