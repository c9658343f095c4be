"""Opens a network's file: its bytes are known before onnxruntime sees them, and one thread runs it."""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curate.errors import UsageError

_FOLDER = "session.model_external_initializers_file_folder_path"  # onnxruntime's: it reads from nowhere else
_CUDA = "CUDAExecutionProvider"


def devices() -> tuple[str, ...]:
    """What sessions can run on beside the CPU: cuda where onnxruntime is its build for that (onnxruntime-gpu)."""
    import onnxruntime as ort

    return ("cuda",) if _CUDA in ort.get_available_providers() else ()


def providers(device: str) -> list[str]:
    """What onnxruntime calls a device; what it cannot do there it does on the CPU."""
    return [*([_CUDA] if device == "cuda" else []), "CPUExecutionProvider"]


def opened(
    path: Path, sha256: str, where: str, remedy: str, beside: Path | None = None, device: str = "cpu",
    change: Callable[[bytes], bytes] | None = None,
) -> Any:  # fmt: skip
    """An onnxruntime session over a file whose sha256 is known; `beside` is the folder where its weights may lie, and
    `change` what is made of its bytes before.

    Without it they lie in the file: what a model is its sha256 says. One thread: sums must not depend on the cores, and
    workers are as many as there are cores. Raises UsageError with `where` and `remedy` for a file that is missing, has
    another sha256, or is no model that onnxruntime can run.
    """
    import onnxruntime as ort

    data = read(path, sha256, where, remedy)
    data = data if change is None else change(data)
    said = ort.SessionOptions()
    said.intra_op_num_threads = said.inter_op_num_threads = 1
    said.log_severity_level = 4  # what goes wrong is raised; warnings are for who makes models
    with tempfile.TemporaryDirectory() as nothing:
        said.add_session_config_entry(_FOLDER, str(beside.resolve() if beside else nothing))
        try:
            return ort.InferenceSession(data, said, providers=providers(device))
        except Exception as error:  # onnxruntime's errors have no common class of their own
            outside = "external data" in str(error).lower()
            why = "weights of it lie outside of the file, where its sha256 says nothing of them" if outside else ""
            why = why or f"not a model that can be run ({' '.join(str(error).split())[:200]})"
            raise UsageError(f"{where}: {path}: {why}; {remedy}") from error


def read(path: Path, sha256: str, where: str, remedy: str) -> bytes:
    """The bytes of a file whose sha256 is known; raises UsageError where it is missing or has another."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{where}: {path}: {error.strerror}; {remedy}") from error
    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise UsageError(f"{where}: {path}: not the bytes that are expected (its sha256 is {found}); {remedy}")
    return data
