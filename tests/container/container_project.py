"""The project on a real Docker engine, as its caller uses it."""

from container_files import compose_binary, run

#: The user who calls: neither root nor the images' default.
USER = 1234


class Project:
    """A copy of the working tree, owned by `USER`, on an engine with the image ``base:torch``.

    `torch_index` is the URL of an index that has PyTorch's build without CUDA, `build_log` what the
    build of the torch image said.
    """

    def __init__(self, tree, environment, torch_index):
        self.tree = tree
        self.environment = environment
        self.torch_index = torch_index
        self.build_log = None

    def build(self, target, *words):
        """Build a target of the Dockerfile from sources that can be had here."""
        return self.docker(
            'build',
            '--network=host',
            f'--target={target}',
            '--build-arg=PYTHON_IMAGE=base:torch',
            f'--build-arg=TORCH_INDEX_URL={self.torch_index}',
            *words,
            '.',
        )

    def compose(self, *words, binary=None, **variables):
        """Run Compose in the tree; a variable that is None is taken from the environment."""
        environment = {
            name: value
            for name, value in {**self.environment, **variables}.items()
            if value is not None
        }
        return run(binary or compose_binary(), *words, cwd=self.tree, env=environment)

    def run(self, *words, **options):
        """``docker-compose run``, without a terminal."""
        return self.compose('run', '--rm', '-T', *words, **options)

    def docker(self, *words):
        """The docker client on the engine."""
        return run('docker', *words, cwd=self.tree, env=self.environment)

    def trains(self, *words, **options):
        """Train one epoch on the demo portraits; the new run folder."""
        runs = self.tree / 'results/own/runs'
        before = set(runs.iterdir()) if runs.is_dir() else set()
        done = self.run(
            'train',
            '--model',
            'rnn',
            '--data',
            'data/demo',
            '-e',
            '1',
            '-z',
            '8',
            *words,
            **options,
        )
        assert done.returncode == 0, done.stderr
        (folder,) = set(runs.iterdir()) - before
        return folder
