"""The command, called in this process: what a user types, what is printed, and the exit code."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import cli


@dataclass(frozen=True)
class Said:
    """How one call of the command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object that `--json` printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found


class Command:
    """`curate ARGS -w ROOT`, as often as asked."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.root, self._patch, self._caught = root, monkeypatch, capfd

    def __call__(self, *args: str, code: int = 0) -> Said:
        """Call it; it must end with `code`, and may show no traceback."""
        self._caught.readouterr()
        self._patch.setattr(sys, "argv", ["curate", *args, "-w", str(self.root)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = self._caught.readouterr()
        found = Said(int(end.value.code or 0), out, err)
        assert "Traceback" not in err
        assert found.code == code, f"{args}: {out}{err}"
        return found
