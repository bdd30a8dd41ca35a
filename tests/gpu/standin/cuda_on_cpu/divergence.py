"""Where lanes of a warp that went different ways come together again.

On the GPUs before Volta they do so behind the condition or loop that parted them. There a marker
is put into the source, ``CUDA_ON_CPU_JOIN``: a lane waits at it until no lane of its warp is left
behind. Only conditions and loops around a warp operation need one.
"""

import re

from cuda_on_cpu import NotSupported

_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:[^"\\]|\\.)*"|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*'
    r'|\b(?:for|while|do|if|else|switch|goto|__device__|__shfl\w*|__ballot\w*|__any|__all)\b'
    r'|[{}();]',
    re.DOTALL | re.MULTILINE,
)
_OPERATIONS = ('__shfl', '__ballot', '__any', '__all')


def join(source):
    """Return the source with its markers.

    Raises
    ------
    NotSupported
        A warp operation stands in a function that kernels call, or beside a ``goto``.
    """
    reader = _Reader(source)
    while reader.token:
        reader.statement()
    parts, last = [], 0
    for place, text in sorted(reader.joins):
        parts += [source[last:place], text]
        last = place
    return ''.join(parts) + source[last:]


class _Reader(object):
    """Reads statements; `joins` are (place, text): what goes around those that part a warp."""

    def __init__(self, source):
        self._tokens = [
            match
            for match in _TOKEN.finditer(source)
            if match.group()[:2] not in ('//', '/*') and match.group().lstrip()[0] not in '"#'
        ]
        self._next = 0
        self.joins = []
        words = [match.group() for match in self._tokens]
        if 'goto' in words and any(word.startswith(_OPERATIONS) for word in words):
            raise NotSupported('goto in a kernel with warp operations')

    @property
    def token(self):
        """The token that comes next; empty at the end."""
        return self._tokens[self._next].group() if self._next < len(self._tokens) else ''

    def _take(self):
        self._next += 1
        return self._tokens[self._next - 1].group()

    def statement(self):
        """Read a statement; return whether a warp operation is in it."""
        token = self.token
        if token == '{':
            return self._block()
        if token not in ('for', 'while', 'do', 'if', 'switch'):
            return self._expression()
        start = self._tokens[self._next].start()
        self._take()
        found = False if token == 'do' else self._brackets()
        found = self.statement() or found
        if token == 'do':
            found = self._expression() or found
        if token == 'if' and self.token == 'else':
            self._take()
            found = self.statement() or found
        if found:
            end = self._tokens[self._next - 1].end()
            self.joins += [(start, '{ '), (end, ' CUDA_ON_CPU_JOIN; }')]
        return found

    def _block(self):
        self._take()
        found = False
        while self.token and self.token != '}':
            found = self.statement() or found
        if self.token:
            self._take()
        return found

    def _brackets(self):
        found, depth = False, 0
        while self.token:
            token = self._take()
            depth += {'(': 1, ')': -1}.get(token, 0)
            found = found or token.startswith(_OPERATIONS)
            if not depth:
                break
        return found

    def _expression(self):
        """Read up to a semicolon or the end of a block: a function's body or a list of values."""
        found, depth, function = False, 0, False
        while self.token and (self.token != '}' or not self._next):
            if self.token == '{':
                found = self._block() or found
                if found and function:
                    raise NotSupported('a warp operation in a function that kernels call')
                if self.token != ';':
                    break
            token = self._take()
            depth += {'(': 1, ')': -1}.get(token, 0)
            function = function or token == '__device__'
            found = found or token.startswith(_OPERATIONS)
            if token == ';' and depth <= 0:
                break
        else:
            if self.token == '}' and not self._inside:
                self._take()
        return found

    @property
    def _inside(self):
        """Whether a block is open; a bracket that closes none is passed over."""
        before = [match.group() for match in self._tokens[: self._next]]
        return before.count('{') > before.count('}')
