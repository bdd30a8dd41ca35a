"""The configuration of a run: all that two runs share when they differ only in the seed."""

import json

from neon_rnn import published

#: Settings of how often a run is evaluated and saved. They have no effect on its result.
_WITHOUT_EFFECT = ('eval_freq', 'serialize')


def configuration(record):
    """Return the configuration of a run as text; two runs of one configuration have equal texts.

    The network, the engine, the backend, the precision, the hyperparameters and the data set make a
    configuration. The name of the file with pretrained weights, the machine and the number of
    threads do not.

    Parameters
    ----------
    record : dict
        A run record, or these fields of one: model, options, engine, backend, precision,
        hyperparameters, dataset (of it kind and sha256; folder if there are no hashes).

    Returns
    -------
    str
        JSON with sorted keys.
    """
    dataset, options = record['dataset'], record['options']
    source = options.get('pretrained')
    fields = {name: record[name] for name in ('model', 'engine', 'backend', 'precision')}
    fields.update(
        variant=published.variant(options),
        # The hash of the weights; the whole entry in records that lack it.
        pretrained=source.get('sha256', source) if isinstance(source, dict) else source,
        hyperparameters={
            name: value
            for name, value in record['hyperparameters'].items()
            if name not in _WITHOUT_EFFECT
        },
        kind=dataset['kind'],
        data=dataset['sha256'] or dataset['folder'],
    )
    return json.dumps(fields, sort_keys=True)
