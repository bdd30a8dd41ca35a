"""Words that depend on a number."""

from neon_rnn.support.wording import counted


def test_one_is_singular_and_nothing_else_is():
    assert [counted(number, 'epoch') for number in (0, 1, 2, 90)] == [
        '0 epochs',
        '1 epoch',
        '2 epochs',
        '90 epochs',
    ]
