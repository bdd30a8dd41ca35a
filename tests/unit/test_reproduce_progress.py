"""What `reproduce` shows while it trains: durations, a training's last words, the time left."""

import pytest

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
    log = tmp_path / 'log'
    log.write_text('training rnn: engine torch\n')
    jobs = [reproduce.Job('rnn', seed, 9, 'new', [], seconds=1000.0) for seed in (0, 1)]
    assert (
        execution._progress(jobs[0], log, 400.0, jobs[1:], 1.0)
        == 'about 27 min left; rnn-s0: starting'
    )
    assert execution._progress(jobs[0], log, 400.0, jobs[1:], 2.0).startswith('about 60 min left')
    log.write_text('epoch 1/9  cost 0.7  test accuracy 55.0%  36.1 s  35.4 images/s\n')
    jobs[1].seconds = None
    assert (
        execution._progress(jobs[0], log, 400.0, jobs[1:], 1.0)
        == 'rnn-s0: epoch 1/9, cost 0.7, test accuracy 55.0%'
    )


def test_the_time_left_follows_what_earlier_trainings_took(tmp_path, monkeypatch):
    jobs = [
        reproduce.Job('rnn', seed, 9, 'new', [], seconds=seconds)
        for seed, seconds in enumerate((100.0, None, 50, 9))
    ]
    took, paces = iter((150.0, 70.0, 30.0, 9.0)), []

    def trained(job, program, log, bar, later, pace):
        paces.append(pace)
        return 0, next(took)

    monkeypatch.setattr(execution, '_train', trained)
    monkeypatch.setattr(
        execution, '_outcome', lambda job, *rest: execution.Outcome(job, False, 'done')
    )
    execution.execute(jobs, tmp_path, tmp_path / 'logs', [])
    assert paces == [1.0, 1.5, 1.5, 1.2]
