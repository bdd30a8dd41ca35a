"""What `reproduce` shows while it trains: durations, a training's last words, the time left."""

import pytest
import synthetic_records as synthetic

from neon_rnn import reproduce
from neon_rnn.reproduce import estimate, execution


@pytest.mark.parametrize(
    ('seconds', 'text'), [(42.4, '42 s'), (780, '13 min'), (18720, '5.2 h'), (267840, '3.1 days')]
)
def test_durations(seconds, text):
    assert estimate.duration(seconds) == text


def test_the_last_line_of_a_log(tmp_path):
    log = tmp_path / 'log'
    for text, line in [
        ('', 'no output'),
        ('a\nb\n\n', 'b'),
        ('a\nb 1%\rb 2%', 'b 2%'),
        ('x' * 10000 + '\nend\n', 'end'),
    ]:
        log.write_text(text)
        assert execution.last_line(log) == line


def test_what_is_shown_of_a_training_in_progress(tmp_path):
    jobs = [
        reproduce.Job('rnn', seed, 9, 'new', [], str(tmp_path / f'rnn-s{seed}'), seconds=1000.0)
        for seed in (0, 1)
    ]
    assert execution._progress(jobs[0], 400.0, jobs[1:]) == 'about 27 min left; rnn-s0: starting'
    record = synthetic.record('rnn-s0', epochs=1)
    record['epochs'][0].update(cost=0.7, accuracy=0.55)
    synthetic.write(tmp_path, record)
    jobs[1].seconds = None
    assert (
        execution._progress(jobs[0], 400.0, jobs[1:])
        == 'rnn-s0: 1 of 9 epochs, cost 0.7000, test accuracy 55.0%'
    )
