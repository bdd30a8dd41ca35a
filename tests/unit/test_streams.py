"""Standard output and error that are closed, full, or lack a character."""

import os
import shutil
import subprocess
import sys

import pytest
import synthetic_records as synthetic
from small_training import write_data

from neon_rnn import cli
from neon_rnn.runs import records
from neon_rnn.support import paths, processes


def shell(folder, words, redirection, **variables):
    """Run a command of the package in a shell, which closes or redirects a stream."""
    command = [*processes.package_command(), *words]
    environment = dict(processes.child_environment(), OMP_NUM_THREADS='1', **variables)
    return subprocess.run(
        ['sh', '-c', f'"$@" {redirection}', 'sh', *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / 'data')


def training(data):
    words = ['train', '--model', 'fcnn-1', '--engine', 'torch', '--data', data, '-z', '4']
    return [*words, '-e', '2', '--threads', '1', '--out', 'runs', '--run_id', 'mine']


@pytest.mark.parametrize('redirection', ['>&-', '>/dev/full', '2>&-', '>/dev/full 2>&-'])
def test_a_training_goes_on_without_its_output(tmp_path, data, redirection):
    done = shell(tmp_path, training(data), redirection)
    record = records.read_record(tmp_path / 'runs' / 'mine')
    assert (record['status'], len(record['epochs'])) == ('finished', 2)
    assert b'Traceback' not in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize(
    'words', [['--help'], ['doctor'], ['table', '--runs', '.', '--out', 'out']]
)
def test_other_commands_end_with_one_line(tmp_path, words):
    done = shell(tmp_path, words, '>/dev/full')
    assert done.returncode == 1
    assert b'Traceback' not in done.stderr
    assert b'standard output cannot be written (No space left on device)' in done.stderr
    assert shell(tmp_path, words, '>&-').returncode in (0, 1)
    assert shell(tmp_path, words, '2>&-').returncode in (0, 1)


@pytest.mark.parametrize('encoding', ['ascii', 'latin-1', 'utf-8'])
def test_any_text_can_be_printed(tmp_path, encoding):
    runs = tmp_path / 'läufe Δ'
    synthetic.write(runs, synthetic.record('rnn-torch'))
    done = shell(
        tmp_path, ['table', '--runs', runs.name, '--out', 'out'], '', PYTHONIOENCODING=encoding
    )
    assert done.returncode == 0, done.stderr
    assert 'RNN' in done.stdout.decode(encoding)


def test_an_error_of_a_hostile_name_is_one_plain_line(tmp_path, data):
    done = shell(tmp_path, ['evaluate', 'no\x1b[2Jrun\n'], '')
    (line,) = done.stderr.decode().splitlines()
    assert done.returncode == 2
    assert r'no\x1b[2Jrun ' in line


@pytest.mark.parametrize('name', ['neon_rnn.py', 'argparse.py', 'numpy.py'])
def test_code_in_the_working_directory_is_not_run(tmp_path, name):
    (tmp_path / name).write_text('raise SystemExit("the working directory was searched")')
    for command in (processes.package_command(), [os.path.join(paths.ROOT, 'run.sh')]):
        done = subprocess.run(
            [*command, '--version'],
            cwd=tmp_path,
            env=processes.child_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout[:9]) == (0, 'neon_rnn '), done.stderr


@pytest.mark.parametrize(
    'variables', [{'CDPATH': '/:/tmp'}, {'PYTHONHOME': '/nowhere'}, {'PYTHONSTARTUP': '/nowhere'}]
)
def test_the_front_door_through_a_link_and_a_strange_environment(tmp_path, variables):
    link = tmp_path / 'a link'
    link.symlink_to(os.path.join(paths.ROOT, 'run.sh'))
    done = subprocess.run(
        [str(link), '--version'],
        cwd=tmp_path,
        env=dict(os.environ, **variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout[:9]) == (0, 'neon_rnn '), done.stderr


@pytest.mark.parametrize('command', cli.COMMANDS)
def test_windows_is_told_of_wsl_in_one_line(command):
    script = (
        'import sys\nfrom neon_rnn import cli\n'
        "sys.platform = 'win32'\nsys.modules['fcntl'] = None\n"
        'sys.exit(cli.main(sys.argv[1:]))'
    )
    done = subprocess.run(
        [sys.executable, '-c', script, command],
        env=processes.child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr.startswith(f'neon_rnn {command}: error: neon_rnn runs on Linux and macOS')
    assert 'Install WSL' in done.stderr
    assert done.stderr.count('\n') == 1


@pytest.mark.parametrize('name', ['MINGW64_NT-10.0-22631', 'MSYS_NT-10.0', 'CYGWIN_NT-10.0'])
def test_the_front_door_tells_windows_of_wsl(tmp_path, name):
    (tmp_path / 'uname').write_text(f'#!/bin/sh\necho {name}\n')
    (tmp_path / 'uname').chmod(0o755)
    done = subprocess.run(
        [os.path.join(paths.ROOT, 'run.sh'), 'doctor'],
        env=dict(os.environ, PATH=f'{tmp_path}:{os.environ["PATH"]}'),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert 'Install WSL' in done.stderr
    assert done.stderr.count('\n') == 1


@pytest.mark.parametrize(('version', 'accepted'), [('3.9', False), ('3.14', True), ('3.15', False)])
def test_the_front_door_takes_the_versions_of_python_that_have_wheels(tmp_path, version, accepted):
    shutil.copy(os.path.join(paths.ROOT, 'run.sh'), tmp_path)
    (tmp_path / 'pyproject.toml').write_text('')
    python = tmp_path / 'python'
    numbers = version.replace('.', ', ')
    code = f'import sys; sys.version_info = ({numbers}); exec(sys.argv[1])'
    python.write_text(
        '#!/bin/sh\n'
        f'[ "$1" = -c ] && exec "{sys.executable}" -c "{code}" "$2"\n'
        'echo "Python of the test"; exit 3\n'
    )
    python.chmod(0o755)
    done = subprocess.run(
        [str(tmp_path / 'run.sh'), 'doctor'],
        env=dict(os.environ, PYTHON=str(python)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    said = 'making .venv' if accepted else 'is not a Python of version 3.10 to 3.14'
    assert said in done.stderr, done.stderr


def test_a_half_made_environment_is_made_anew(tmp_path):
    """The Python in .venv is gone, its stamp is there."""
    shutil.copy(os.path.join(paths.ROOT, 'run.sh'), tmp_path)
    (tmp_path / 'pyproject.toml').write_text('')
    stamp = subprocess.run(['cksum'], input=b'', capture_output=True, check=True).stdout.decode()
    (tmp_path / '.venv' / 'bin').mkdir(parents=True)
    (tmp_path / '.venv' / 'bin' / 'python').symlink_to('/no/python')
    (tmp_path / '.venv' / '.installed-torch').write_text(stamp)
    done = subprocess.run(
        [str(tmp_path / 'run.sh'), 'doctor'],
        env=dict(os.environ, PYTHON=sys.executable),
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'making .venv' in done.stderr
    assert (tmp_path / '.venv' / 'bin' / 'python').exists()
    assert done.returncode == 1  # there is no project to install here


def test_a_notebook_backend_of_matplotlib_is_not_asked_for(tmp_path):
    synthetic.write(tmp_path / 'runs', synthetic.record('rnn-torch'))
    words = ['table', '--runs', 'runs', '--out', 'out']
    done = shell(tmp_path, words, '', MPLBACKEND='module://matplotlib_inline.backend_inline')
    assert done.returncode == 0, done.stderr
