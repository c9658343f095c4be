"""Runs the notebooks beside this file and keeps their outputs: `python examples/run.py [NOTEBOOK...]`.

Each runs in a folder of its own that is thrown away. Kept is what is the same on every machine: no progress, no times.
"""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
NOTEBOOKS = tuple(sorted(HERE.glob("*.ipynb")))
TIMEOUT = 300  # s a cell may take
_SECONDS = re.compile(r", in [\d.]+ s\b")


def executed(notebook: Path, folder: Path) -> Any:
    """The notebook with its outputs, run in a folder that is made for it. Its kernel listens on the loopback only.

    Raises nbclient's CellExecutionError where a cell fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "pictures.py", folder)
    book = nbformat.read(notebook, as_version=4)
    places = {"JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "IPYTHONDIR": str(folder / "ipython")}
    client = NotebookClient(
        book, timeout=TIMEOUT, kernel_name="python3", record_timing=False, resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env={**os.environ, **places})
    return cleaned(book)


def cleaned(book: Any) -> Any:
    """The notebook without what differs from run to run: progress, seconds, the version of Python."""
    book.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            cell.outputs = [_timeless(one) for one in cell.outputs if not _progress(one)]
    return book


def _progress(output: Any) -> bool:
    return output.get("name") == "stderr" or "<progress" in output.get("data", {}).get("text/html", "")


def _timeless(output: Any) -> Any:
    texts = output.get("data", output)
    texts.pop("image/jpeg", None)  # beside the PNG
    for kind in ("text", "text/plain", "text/html"):
        if kind in texts:
            texts[kind] = _SECONDS.sub("", texts[kind])
    return output


def main() -> None:
    """Run those that are named, or all, and write them in place."""
    for notebook in [Path(one) for one in sys.argv[1:]] or NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(executed(notebook, Path(folder) / "run"), notebook)
        print(notebook.name)


if __name__ == "__main__":
    main()
