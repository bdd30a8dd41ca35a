"""The bytes of an image file, for decoders that a hostile file could keep busy for minutes."""

import io

#: The effort that a decoder may spend on all that stands before the pixels.
HEADER_EFFORT = 20000
#: Bytes of the file that allow one more unit of effort for the pixels.
BYTES_PER_EFFORT = 64
_BLOCK = 1024


class TooMuchEffort(Exception):
    """The file has more pieces than an image needs."""


class BoundedFile(io.BytesIO):
    """A file in memory that may be read only so often: each read, and each KiB of one, counts.

    Decoders in Python read a segment, a chunk or a comment at a time, so a file of millions of
    them would take minutes.

    Parameters
    ----------
    data : bytes
    """

    def __init__(self, data):
        super().__init__(data)
        self._left = HEADER_EFFORT
        self._size = len(data)

    def allow_pixels(self):
        """Allow as many reads as pixels of this size can need."""
        self._left = HEADER_EFFORT + self._size // BYTES_PER_EFFORT

    def read(self, size=-1):
        """Read at most `size` bytes, or all.

        Raises
        ------
        TooMuchEffort
            The file was read too often.
        """
        data = super().read(size)
        if size is not None and size >= 0:
            self._left -= 1 + len(data) // _BLOCK
            if self._left < 0:
                raise TooMuchEffort('more segments, chunks or comments than an image needs')
        return data
