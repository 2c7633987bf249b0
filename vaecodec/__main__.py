"""``python -m vaecodec``: the same as the command ``vaecodec``."""

import sys

from vaecodec.cli import main

sys.exit(main())
