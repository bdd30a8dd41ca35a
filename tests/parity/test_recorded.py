"""The torch engine, against results recorded from Intel neon 2.6.0 (verification/recorded)."""

import pathlib

import numpy as np
import pytest

from neon_rnn import engines
from neon_rnn.cli import main
from neon_rnn.models.rnn import CELLS
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.verification import cases, compare, tolerances

CASES = {case.name: case for case in cases.cases()}
LAYERS = [name for name in CASES if not name.startswith('network')]


@pytest.fixture(scope='module')
def replayed():
    """Return a function: case name -> (recorded, found here, provenance), each run once."""
    nn, kept = engines.load('torch'), {}

    def replay(name):
        if name not in kept:
            recorded, provenance = compare.load(compare.path_of(CASES[name]))
            kept[name] = recorded, compare.observe(nn, CASES[name], 'cpu')[0], provenance
        return kept[name]

    return replay


@pytest.mark.parametrize('name', CASES)
def test_everything_recorded_is_reproduced(replayed, name):
    expected, found, _ = replayed(name)
    deviations = compare.compare(CASES[name], expected, found)
    assert {deviation.kind for deviation in deviations} >= {
        'initial',
        'cost',
        'gradient',
        'step 1',
        'last step',
    }
    assert not compare.beyond(deviations)


@pytest.mark.parametrize('name', CASES)
def test_the_same_weights_are_drawn(replayed, name):
    """To the bit of float32."""
    expected, found, _ = replayed(name)
    for key in expected:
        if key.startswith('initial/'):
            samples = (digest[2:].astype(np.float32) for digest in (found[key], expected[key]))
            np.testing.assert_array_equal(*samples, err_msg=key)


def test_in_float64_twelve_minibatches_of_the_network_are_the_same_numbers(replayed):
    """Nothing but rounding is left: costs, gradients and probabilities agree far below float32."""
    expected, found, _ = replayed('network rnn, float64')
    assert len(expected['cost']) == 12
    np.testing.assert_allclose(found['cost'], expected['cost'], rtol=1e-10)
    np.testing.assert_allclose(found['probability'], expected['probability'], atol=1e-6)
    assert np.ptp(expected['probability'][:, 0]) > 0.1


@pytest.mark.parametrize('name', [name for name in LAYERS if 'float64' in name])
def test_in_float64_the_costs_of_every_cell_are_the_same(replayed, name):
    expected, found, _ = replayed(name)
    np.testing.assert_allclose(found['cost'], expected['cost'], rtol=1e-12)


def test_every_recurrent_layer_is_recorded_in_both_precisions():
    recurrent = {cell.layer for cell in CELLS.values()}
    for precision in ('float32', 'float64'):
        recorded = {
            name.split(', ')[1]
            for name, case in CASES.items()
            if name.startswith('SpatialRNN') and case.precision == precision
        }
        assert recorded == recurrent, precision


@pytest.mark.parametrize('name', LAYERS)
def test_costs_and_probabilities_of_every_layer_in_float32(replayed, name):
    expected, found, _ = replayed(name)
    np.testing.assert_allclose(found['cost'], expected['cost'], rtol=1e-5)
    np.testing.assert_allclose(found['probability'], expected['probability'], atol=1e-4)


def test_neons_two_backends_and_this_engine_train_alike_in_float32(replayed):
    """neon's mkl backend departs from its cpu backend by the same amplified rounding."""
    expected, found, provenance = replayed('network rnn, float32')
    mkl = np.array(provenance['mkl_cost'])
    limit = tolerances.OTHER_MAXIMA['later cost']
    np.testing.assert_allclose(mkl, expected['cost'], rtol=limit)
    np.testing.assert_allclose(mkl, found['cost'], rtol=limit)


@pytest.mark.parametrize('name', CASES)
def test_the_records_say_where_they_come_from(replayed, name):
    _, _, provenance = replayed(name)
    assert provenance['engine'].startswith('Intel neon 2.6.0')
    assert provenance['neon_commit'] == 'f9d771bbb5f5fa3ae129748596d0ced5389c7f88'
    assert (provenance['backend'], provenance['precision']) == ('cpu', CASES[name].precision)
    assert 'Version 2018.0.3' in provenance['mkl_device']['mkl']
    assert provenance['machine']['cpu']
    assert 'record_neon.py' in provenance['command']


def test_a_wrong_number_is_noticed(replayed):
    """Each kind of result, spoilt by ten times its tolerance, is named."""
    case = CASES['SpatialRNN, BiRNN']
    expected, found, _ = replayed(case.name)
    for key, kind in (
        ('cost', 'cost'),
        ('gradient/3.vertical.W', 'gradient'),
        ('step 1/1.W', 'step 1'),
        ('last step/3.horizontal.W', 'last step'),
        ('last step/1.weight_bias', 'last offset'),
        ('initial/4.W', 'initial'),
    ):
        spoilt = dict(found, **{key: found[key].copy()})
        spoilt[key][2] += 10 * case.tolerances[kind] * np.abs(found[key][2:]).max()
        named = {
            (deviation.kind.replace('later ', ''), deviation.name)
            for deviation in compare.beyond(compare.compare(case, expected, spoilt))
        }
        assert named == {(kind, '3' if kind == 'cost' else key.partition('/')[2])}
    undefined = dict(found, cost=found['cost'] * np.nan)
    assert len(compare.beyond(compare.compare(case, expected, undefined))) == 3


@pytest.mark.parametrize('name', CASES)
def test_no_limit_is_so_wide_that_zeros_pass(replayed, name):
    """In every kind, also with the limits for neon's fast backends, which leave out one key."""
    expected = replayed(name)[0]
    for case in (CASES[name], cases.on_fast_neon(CASES[name])):
        assert set(case.left_out) <= {'last step/21.weight_bias'} & set(expected)
        deviations = compare.compare(
            case, expected, {key: np.zeros_like(values) for key, values in expected.items()}
        )
        assert len(deviations) == len(compare.compare(CASES[name], expected, expected)) - len(
            case.left_out
        )
        beyond = {deviation[1:3] for deviation in compare.beyond(deviations)}
        zeros = [
            deviation for deviation in deviations if deviation.value == 0
        ]  # what neon itself holds at zero
        assert {deviation[1:3] for deviation in deviations} - beyond == {
            deviation[1:3] for deviation in zeros
        }
        assert all(
            deviation.kind == 'initial' or deviation.name.endswith('.beta') for deviation in zeros
        )


def test_another_network_is_refused(replayed):
    case = CASES['SpatialRNN, BiRNN']
    with pytest.raises(NeonRnnError, match='another network: .*vertical.*missing|recorded was'):
        compare.compare(case, replayed(case.name)[0], replayed('SpatialRNN, Recurrent')[1])


def test_records_are_missing_or_damaged(tmp_path):
    with pytest.raises(NeonRnnError, match='missing.npz'):
        compare.load(tmp_path / 'missing.npz')
    whole = pathlib.Path(compare.path_of(CASES['BatchNorm'])).read_bytes()
    (tmp_path / 'cut.npz').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NeonRnnError, match='cut.npz'):
        compare.load(tmp_path / 'cut.npz')


def test_verify_prints_the_largest_deviations_and_succeeds(capsys):
    assert main(['verify', '--engine', 'torch', '--layers']) == 0
    printed = capsys.readouterr().out
    for name in LAYERS:
        assert name in printed
    assert 'within the stated tolerances' in printed


def test_verify_fails_on_a_deviation(capsys, monkeypatch):
    monkeypatch.setattr(compare, 'observe', _spoilt(compare.observe))
    assert main(['verify', '--engine', 'torch', '--layers']) == 1
    captured = capsys.readouterr()
    assert 'beyond' in captured.out
    assert 'does not compute as Intel neon' in captured.err


def _spoilt(observe):
    def spoilt(*arguments):
        results, device = observe(*arguments)
        results['cost'] = results['cost'] * 1.001
        return results, device

    return spoilt
