"""Every error that vaecodec raises on purpose: one tree, one line per message, an exit code per class.

::

    VaecodecError                      exit code
    ├── UsageError                     2   an argument makes no sense (quality 101, an unknown option value)
    │   ├── OutputExistsError          2   the output is there already and nobody said ``-f``
    │   └── TargetError                1   no file of this picture meets the target (a size of 10 bytes)
    ├── PictureError                   3   the input is not a picture that we take
    │   ├── PictureNotFoundError       3
    │   ├── UnreadablePictureError     3   not a picture, or a broken one
    │   └── UnsupportedPictureError    3   a picture of a kind that is not supported (yet)
    │       ├── AnimatedPictureError   3
    │       └── BitDepthError          3
    ├── ItemsError                     3   the input is not an array of small items that we take
    ├── FileFormatError                3   the input is not a .vaec file that we can read
    │   ├── NotVaecodecFileError       3
    │   ├── NewerVersionError          3
    │   ├── UnknownSectionError        3   a critical section that this version does not know
    │   └── DamagedFileError           3
    │       └── TruncatedFileError     3
    ├── WeightsError                   4   weights are missing or wrong
    │   ├── UnknownModelError          4
    │   ├── WeightsNotFoundError       4
    │   └── DamagedWeightsError        4   includes weights whose exactness cannot be proven
    ├── LimitError                     5   a declared size is over the limit
    ├── MissingExtraError              6   an optional package is needed for this
    └── ExactArithmeticError           4   this machine's arithmetic failed the self-test in every mode
"""

from __future__ import annotations


class VaecodecError(Exception):
    """Base of all errors of this package; ``str(error)`` is one line: what, where, what to do."""

    exit_code = 1


class UsageError(VaecodecError):
    """An argument is out of range or makes no sense."""

    exit_code = 2


class RegionError(UsageError):
    """A region is empty or does not lie inside its picture."""


class OutputExistsError(UsageError):
    """The output exists and overwriting was not asked for."""


class TargetError(UsageError):
    """No file of this picture meets the target; the message says what can be reached."""

    exit_code = 1


class MissingExtraError(VaecodecError):
    """An optional package is needed; the message names the extra that brings it."""

    exit_code = 6


class PictureError(VaecodecError):
    """The input cannot be used as a picture."""

    exit_code = 3


class PictureNotFoundError(PictureError):
    """There is no such file, or it cannot be opened."""


class UnreadablePictureError(PictureError):
    """The bytes are no picture, or a broken one."""


class UnsupportedPictureError(PictureError):
    """A picture of a kind that is not supported."""


class AnimatedPictureError(UnsupportedPictureError):
    """The picture has several frames."""


class BitDepthError(UnsupportedPictureError):
    """The picture has samples of more than 8 bits."""


class ItemsError(VaecodecError):
    """The input cannot be used as an array of items."""

    exit_code = 3


class FileFormatError(VaecodecError):
    """The input cannot be read as a .vaec file."""

    exit_code = 3


class NotVaecodecFileError(FileFormatError):
    """The first bytes are not those of a .vaec file."""


class NewerVersionError(FileFormatError):
    """The file was written in a format version that this reader does not know."""


class UnknownSectionError(FileFormatError):
    """The file has a critical section that this reader does not know."""


class DamagedFileError(FileFormatError):
    """The file contradicts itself: a wrong checksum, an impossible value, a stream that is not used up."""


def damaged_file(what: str) -> DamagedFileError:
    """Returns the error for something that no writer writes: what, in one line, and what to do."""
    return DamagedFileError(f"{what}: the file is damaged, download it again")


class TruncatedFileError(DamagedFileError):
    """The file ends before it should."""


class WeightsError(VaecodecError):
    """Weights are missing or cannot be used."""

    exit_code = 4


class UnknownModelError(WeightsError):
    """No installed weights have this model id or name."""


class WeightsNotFoundError(WeightsError):
    """There is no weights file at this path."""


class DamagedWeightsError(WeightsError):
    """A weights file is damaged, or its exactness cannot be proven."""


class ExactArithmeticError(WeightsError):
    """No arithmetic of this machine passed the self-test of exact integers."""


class LimitError(VaecodecError):
    """A declared size exceeds the limit."""

    exit_code = 5
