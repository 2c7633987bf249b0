#!/usr/bin/env bash
# A fresh environment without torch: how long the installation takes, how large it is, and that it works.
#
#     bench/measure/install.sh PICTURE.png
set -euo pipefail
picture="$(realpath "$1")"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

size() { du -sm "$scratch/venv/lib" | cut -f1; }

"${PYTHON:-python3}" -m venv "$scratch/venv"
bin="$scratch/venv/bin"
before="$(size)"
start="$(date +%s.%N)"
"$bin/pip" install --quiet "$root"
end="$(date +%s.%N)"
echo "pip install .: $(echo "$end - $start" | bc) s, $(($(size) - before)) MB"
# Elsewhere: the source tree must not be what is imported.
cd "$scratch"
"$bin/python" -c 'import importlib.util as i; assert not i.find_spec("torch"); from vaecodec.exact.kernels import _kernels; print("kernels:", *_kernels.available())'
"$bin/vaecodec" compress "$picture" -o a.vaec --quiet
"$bin/vaecodec" decompress a.vaec -o a.png --quiet
"$bin/python" - <<'PYTHON'
import numpy as np
import vaecodec.pillow
from PIL import Image

opened, decompressed = np.array(Image.open("a.vaec")), np.array(Image.open("a.png"))
assert np.array_equal(opened, decompressed)
Image.fromarray(decompressed).save("b.vaec", quality=50)
assert Image.open("b.vaec").size == Image.open("a.png").size
PYTHON
echo "compress, decompress, Pillow: work"
"$bin/pip" install --quiet "$root[zarr]"
"$bin/python" - <<'PYTHON'
import numpy as np
import zarr
from PIL import Image
from vaecodec.zarr import Vaecodec

pixels = np.array(Image.open("a.png").convert("RGB"))
array = zarr.create_array("store", shape=pixels.shape, chunks=pixels.shape, dtype="uint8", serializer=Vaecodec(quality=60), compressors=None)
array[:] = pixels
error = np.abs(zarr.open_array("store", mode="r")[:].astype(int) - pixels).mean()
assert 0 < error < 10, error
PYTHON
echo "zarr: works; with it $(($(size) - before)) MB"
