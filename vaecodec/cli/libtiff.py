"""Keeps Pillow's libtiff from printing: what it says about a damaged file comes as our one line too."""

from __future__ import annotations

import ctypes
import ctypes.util
from pathlib import Path

import PIL


def silence_libtiff() -> bool:
    """Takes libtiff's handler of errors away in this process; returns False where its library is not found.

    Wheels of Pillow bring it along in a folder of their own; others use the system's.
    """
    package = Path(PIL.__file__).parent
    beside = [*(package.parent / "pillow.libs").glob("libtiff*"), *(package / ".dylibs").glob("libtiff*")]
    found = str(beside[0]) if beside else ctypes.util.find_library("tiff")
    if found is None:
        return False
    try:
        setter = ctypes.CDLL(found).TIFFSetErrorHandler
    except (OSError, AttributeError):
        return False
    setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
    setter(None)
    return True
