"""Read mutated files in a process of its own: ``child.py FOLDER INDEX COUNT SEED``.

Prints one JSON line: how many files were read, how many refused, what went wrong, and the memory. A
process of its own, since a reader of another library may end the whole interpreter.
"""

import json
import resource
import sys
import traceback
from pathlib import Path

import numpy as np
from mutations import mutated_bytes, mutated_json
from readers import READERS, sample

from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.wording import one_line


def main(folder, index, count, seed):
    reader, rng = READERS[index], np.random.RandomState([seed, index])
    path = sample(reader, Path(folder) / 'in' / 'sample')
    sound = path.read_bytes()
    reader.read(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    accepted, refused, faults = 0, 0, []
    for number in range(count):
        data = (mutated_json if reader.is_json else mutated_bytes)(sound, rng)
        path.write_bytes(data)
        try:
            reader.read(path)
            accepted += 1
        except NeonRnnError as error:
            refused += 1
            text = one_line(error)
            if reader.name not in text:
                faults.append(f'{number}: {text[:300]}')
        except Exception:
            faults.append(f'{number}: {traceback.format_exc(limit=-3)}')
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if reader.share > 1:  # it reads in another process
        grown = max(grown, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    outcome = {'accepted': accepted, 'refused': refused, 'faults': faults, 'mib': grown / 1024}
    print(json.dumps(outcome))


if __name__ == '__main__':
    main(sys.argv[1], *map(int, sys.argv[2:]))
