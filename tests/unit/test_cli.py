"""The command line: exit statuses, one-line errors, help that imports nothing heavy."""

import importlib
import os
import resource
import signal
import subprocess
import sys
import types

import pytest

import neon_rnn
from neon_rnn import cli
from neon_rnn.support.errors import NeonRnnError, UsageError

HEAVY = ('numpy', 'torch', 'h5py', 'PIL', 'matplotlib')
ROOT = os.path.dirname(os.path.dirname(neon_rnn.__file__))


def run(*arguments, **options):
    """``python -m neon_rnn`` in a process of its own."""
    return subprocess.run(
        [sys.executable, '-m', 'neon_rnn', *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.fixture
def command(monkeypatch):
    """A command of the test's own under the name ``doctor``; set its ``run``."""
    module = types.ModuleType('neon_rnn.commands.doctor', 'A command made up for a test.')
    module.add_arguments = lambda parser: parser.add_argument('-z', '--batch_size', type=int)
    module.run = lambda arguments: None
    monkeypatch.setitem(sys.modules, 'neon_rnn.commands.doctor', module)
    return module


def raises(error):
    def run(arguments):
        raise error

    return run


def test_help_lists_every_command_with_its_line(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(['--help'])
    assert ended.value.code == 0
    lines = [
        line.split(None, 1)
        for line in capsys.readouterr().out.splitlines()
        if line.startswith('  ')
    ]
    for name, text in cli.COMMANDS.items():
        assert [name, text] in lines


def test_without_a_command_the_help_comes_with_status_2(capsys):
    assert cli.main([]) == 2
    assert 'usage: neon_rnn' in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(['--version'])
    assert ended.value.code == 0
    assert capsys.readouterr().out == 'neon_rnn {}\n'.format(neon_rnn.__version__)


def test_help_takes_less_than_a_third_of_a_second_of_processor_time():
    """Processor time, the best of three: what a busy machine does not change."""
    taken = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run('--help').returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(taken) < 0.3


def test_help_imports_no_numerical_library():
    code = (
        'import sys; from neon_rnn import cli\n'
        'try: cli.main(["--help"])\n'
        'except SystemExit: pass\n'
        'print([name for name in {!r} if name in sys.modules], file=sys.stderr)'.format(HEAVY)
    )
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == '[]\n'


@pytest.mark.parametrize('name', sorted(cli.COMMANDS))
def test_every_command_exists_and_explains_itself(name, capsys):
    module = importlib.import_module('neon_rnn.commands.' + name)
    assert callable(module.add_arguments)
    assert callable(module.run)
    with pytest.raises(SystemExit) as ended:
        cli.main([name, '--help'])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith('usage: neon_rnn {} '.format(name))
    assert module.__doc__.split('\n')[0].split(':')[0] in text


@pytest.mark.parametrize('arguments', [['trian'], ['--no-such-option'], ['']])
def test_an_unknown_command_or_option_is_status_2_on_stderr(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    output = capsys.readouterr()
    assert output.out == ''
    assert output.err.splitlines()[-1].startswith('neon_rnn: error: ')


def test_an_unknown_command_is_told_those_there_are():
    done = run('trian')
    assert done.returncode == 2
    assert (
        "there is no command 'trian'; the commands are {}".format(', '.join(cli.COMMANDS))
        in done.stderr
    )
    assert 'Traceback' not in done.stderr


def test_a_wrong_value_is_status_2_and_names_the_option(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(['doctor', '-z', 'many'])
    assert ended.value.code == 2
    assert "argument -z/--batch_size: invalid int value: 'many'" in capsys.readouterr().err


@pytest.mark.parametrize(('returned', 'status'), [(None, 0), (0, 0), (3, 3)])
def test_what_a_command_returns_is_the_exit_status(command, returned, status):
    command.run = lambda arguments: returned
    assert cli.main(['doctor']) == status


def test_a_command_gets_its_arguments_and_the_whole_line(command):
    seen = []
    command.run = seen.append
    cli.main(['doctor', '-z', '16'])
    assert (seen[0].batch_size, seen[0].argv) == (16, ['doctor', '-z', '16'])


@pytest.mark.parametrize(
    ('error', 'status', 'line'),
    [
        (
            NeonRnnError('train.h5: it was cut short.'),
            1,
            'neon_rnn doctor: error: train.h5: it was cut short.\n',
        ),
        (
            UsageError('there is no such thing.'),
            2,
            'neon_rnn doctor: error: there is no such thing.\n',
        ),
        (KeyboardInterrupt(), 130, 'neon_rnn doctor: interrupted\n'),
    ],
)
def test_errors_are_one_line_without_a_traceback(command, capsys, error, status, line):
    command.run = raises(error)
    assert cli.main(['doctor']) == status
    output = capsys.readouterr()
    assert (output.out, output.err) == ('', line)


def test_a_bug_keeps_its_traceback(command):
    command.run = raises(ZeroDivisionError('a bug'))
    with pytest.raises(ZeroDivisionError, match='a bug'):
        cli.main(['doctor'])


@pytest.mark.parametrize(
    'arguments',
    [
        ['train', '--model', 'no-such-model', '--data', 'no-such-folder'],
        ['evaluate', 'no-such-run', '--data', 'no-such-folder'],
    ],
)
def test_a_real_command_fails_in_one_line(tmp_path, arguments):
    done = subprocess.run(
        [sys.executable, '-m', 'neon_rnn', *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ, PYTHONPATH=ROOT),
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith('neon_rnn {}: error: '.format(arguments[0]))
    assert 'no-such-' in line


def test_ctrl_c_ends_a_process_with_130(tmp_path):
    """A real signal: the command says when it waits."""
    code = (
        'import sys, time, types; from neon_rnn import cli\n'
        'def run(arguments):\n'
        '    print("waiting", flush=True); time.sleep(60)\n'
        'module = types.ModuleType("doctor", "x"); module.add_arguments = lambda parser: None; '
        'module.run = run\n'
        'sys.modules["neon_rnn.commands.doctor"] = module\n'
        'sys.exit(cli.main(["doctor"]))'
    )
    process = subprocess.Popen(
        [sys.executable, '-c', code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with process:
        assert process.stdout.readline() == 'waiting\n'
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, 'neon_rnn doctor: interrupted\n')


def test_a_reader_that_leaves_early_is_no_error():
    """``neon_rnn COMMAND | head``: status 141 as the shell knows it, nothing on stderr."""
    code = (
        'import sys, types; from neon_rnn import cli\n'
        'def run(arguments):\n'
        '    while True: print("x" * 1000, flush=True)\n'
        'module = types.ModuleType("doctor", "x"); module.add_arguments = lambda parser: None; '
        'module.run = run\n'
        'sys.modules["neon_rnn.commands.doctor"] = module\n'
        'sys.exit(cli.main(["doctor"]))'
    )
    process = subprocess.Popen(
        [sys.executable, '-c', code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stdout.read(10) == b'x' * 10
        process.stdout.close()
        assert process.stderr.read() == b''
        assert process.wait(timeout=30) == 141


def test_a_program_ends_without_looking_through_all_objects():
    code = (
        'import gc; from neon_rnn.cli import program; print(program(), gc.get_freeze_count() > 0)'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert done.stdout.splitlines()[-1] == '2 True'
