"""Opens a model file for labelers: its bytes are known before onnxruntime sees them, and one thread runs it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curate.errors import UsageError

WEIGHTS = Path(__file__).parent / "_weights"


def opened(path: Path, sha256: str, where: str, remedy: str, options: Mapping[str, str] | None = None) -> Any:
    """An onnxruntime session over a file whose sha256 is known; `options` are entries of the session's configuration.

    One thread: sums must not depend on the cores, and workers are as many as there are cores. Raises UsageError with
    `where` and `remedy` for a file that is missing, has another sha256, or is no model that onnxruntime can run.
    """
    import onnxruntime as ort

    data = read(path, sha256, where, remedy)
    said = ort.SessionOptions()
    said.intra_op_num_threads = said.inter_op_num_threads = 1
    said.log_severity_level = 4  # what goes wrong is raised; warnings are for who makes models
    for key, value in (options or {}).items():
        said.add_session_config_entry(key, value)
    try:
        return ort.InferenceSession(data, said, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class of their own
        raise UsageError(f"{where}: {path}: not a model that can be run ({_short(error)}); {remedy}") from error


def read(path: Path, sha256: str, where: str, remedy: str) -> bytes:
    """The bytes of a file whose sha256 is known; raises UsageError where it is missing or has another."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{where}: {path}: {error.strerror}; {remedy}") from error
    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise UsageError(f"{where}: {path}: not the bytes that are expected (its sha256 is {found}); {remedy}")
    return data


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
