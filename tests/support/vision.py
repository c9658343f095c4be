"""torchvision, also where its compiled part is of another build than torch (CUDA's beside the CPU's)."""

import importlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

_OPERATORS: list[Any] = []  # a library's operators are there as long as the library


def torchvision(module: str) -> Any:
    """A module of torchvision; skips where it is not installed.

    Its Python code declares shapes of operators of that compiled part when it is imported; where this cannot be loaded,
    they are declared as well, and cannot be called.
    """
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        pytest.skip("no torchvision (pip install torchvision: the release that goes with torch)")
    import torch

    site = Path(spec.origin).parent
    try:
        for library in site.glob("_C*.so"):
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
    except OSError:
        if not _OPERATORS:
            names = re.findall(r"torchvision::(\w+)", (site / "_meta_registrations.py").read_text(encoding="utf-8"))
            _OPERATORS.append(torch.library.Library("torchvision", "DEF"))  # type: ignore[no-untyped-call]
            for name in sorted({*names}):
                _OPERATORS[0].define(f"{name}() -> ()")
    return importlib.import_module(module)
