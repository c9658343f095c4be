"""Runs the command inside this process: what starting one costs, a test of many commands pays once."""

import contextlib
import io
import sys
from pathlib import Path

import pytest

import cli


def command(root: Path, *args: str) -> tuple[int, str, str]:
    """Run it in the workspace `root`; its exit code, and what it said on stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["curate", *args, "-w", str(root)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()
