"""Which processor networks run on: `[engine] device`. The main processor's answers are the same to the byte on each
machine of a kind; a graphics processor's differ from them by a rounding, so their tables are tables of their own."""

import os
import sys
from pathlib import Path
from typing import Any, TypeVar

from curate.errors import UsageError

CPU = "cpu"
KINDS = ("cuda", "mps")
L = TypeVar("L")


def found(wanted: str) -> str:
    """`wanted`, or for "auto" the first of KINDS that this machine has and torch can use, else "cpu".

    Raises UsageError where one is asked for by name and is not to be had, with why.
    """
    if wanted == CPU:
        return CPU
    lacking = {kind: _lacking(kind) for kind in KINDS if wanted in ("auto", kind)}
    for kind, why in lacking.items():
        if why is None:
            return kind
    if wanted != "auto":
        raise UsageError(f"engine.device: {wanted}: {lacking[wanted]}; cpu always works, auto takes what there is")
    return CPU


def placed(labeler: L, wanted: str) -> L:
    """The labeler, with `device` set where it can run on the one that was found (`Labeler.devices`)."""
    kind = found(wanted)
    if kind != CPU and kind in getattr(labeler, "devices", ()):
        object.__setattr__(labeler, "device", kind)
    return labeler


def device_of(labeler: Any) -> str:
    """What a labeler runs on."""
    return str(getattr(labeler, "device", CPU))


def _lacking(kind: str) -> str | None:
    """Why a kind cannot be used here; None where it can. Torch is imported only where the system has such a device."""
    if kind == "mps":
        if sys.platform != "darwin":
            return "there is none but on macOS"
        import torch

        return None if torch.backends.mps.is_available() else "torch does not find it"
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return "this machine has no NVIDIA device (/dev/nvidia0)"
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asks without opening it: workers do that themselves
    import torch

    return None if torch.cuda.is_available() else f"torch {torch.__version__} does not find it (a build for the CPU?)"
