"""How far a job is, in a notebook: one bar that is written over. The kernel is a pretended one."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from curate.progress import Progress


class Cell:
    """IPython with a kernel, or in a terminal; `states` is what one cell's output has shown, one list a stage."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kernel: object) -> None:
        self.states: list[list[dict[str, str]]] = []
        package, inner = ModuleType("IPython"), ModuleType("IPython.display")
        package.get_ipython = lambda: SimpleNamespace(kernel=kernel)  # type: ignore[attr-defined]
        inner.display = self.display  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "IPython", package)
        monkeypatch.setitem(sys.modules, "IPython.display", inner)

    def display(self, bundle: dict[str, str], raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        states = [bundle]
        self.states.append(states)
        return SimpleNamespace(update=lambda bundle, raw: states.append(bundle))


def test_a_notebook_has_one_bar_a_stage_that_is_written_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = Cell(monkeypatch, object())
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("curate.progress.time.monotonic", lambda: float(next(clock)))
    with Progress().stage("fetch <b>", 4000) as step:
        step(1000)
        step(1000, total=8000)
    (states,) = cell.states
    assert [one["text/plain"] for one in states] == [
        "fetch <b>: 0 of 4,000",
        "fetch <b>: 1,000 of 4,000, 0:30 left",
        "fetch <b>: 2,000 of 8,000, 1:00 left",
        "fetch <b>: 2,000 of 8,000, 0:30",
    ]
    assert 'value="2000" max="8000"' in states[-1]["text/html"]
    assert "fetch &lt;b&gt;" in states[-1]["text/html"]
    assert capsys.readouterr() == ("", "")


def test_it_is_written_over_a_few_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell(monkeypatch, object())
    monkeypatch.setattr("curate.progress.time.monotonic", lambda: 0.0)
    with Progress().stage("hash") as step:
        for _ in range(100):
            step()
    assert [one["text/plain"] for one in cell.states[0]] == ["hash: 0", "hash: 100, 0:00"]
    assert "value=" not in cell.states[0][0]["text/html"]


def test_a_terminal_and_a_quiet_project_show_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kernel, quiet in ((None, False), (object(), True)):
        cell = Cell(monkeypatch, kernel)
        with Progress(quiet).stage("hash", 3) as step:
            step(3)
        assert cell.states == []
        assert capsys.readouterr().err == ("" if quiet else "hash: 3 of 3\n")
