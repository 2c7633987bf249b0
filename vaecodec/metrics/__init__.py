"""How close a picture is to its original: numpy alone, for rate control, evaluation and, as constants, the trainer's loss."""

from vaecodec.metrics.ssimulacra2 import ssimulacra2

__all__ = ["ssimulacra2"]
