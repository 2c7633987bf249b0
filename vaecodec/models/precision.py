"""Which number format is fast here, for what need not be exact."""

from __future__ import annotations

from pathlib import Path

import torch


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is worth it: on any GPU that has it, on processors with matrix units or vector instructions for it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text() if cpuinfo.exists() else ""
    return "amx_bf16" in flags or "avx512_bf16" in flags
