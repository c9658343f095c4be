"""A release that was handed on, for those who receive it; and that of the golden items."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import curate
from curate.project import Project
from curate.store.workspace import Workspace
from tests.support.exports import released
from tests.support.handed_on import N, Ours, maker, picture, project
from tests.support.releases import golden_config, golden_items, stocked
from tests.support.web import serving


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    answers = {f"/{n}.png": picture(n) for n in range(N)}
    with serving(answers) as site:
        root = tmp_path_factory.mktemp("ours")
        ours = maker(root, site, N)
        ours.fetch(), ours.dedupe(), ours.label(), ours.export("1.0.0")
        yield Ours(site, ours, root)


@pytest.fixture
def ours(made: Ours, tmp_path: Path) -> Iterator[Ours]:
    """A copy, so that each test may take down what it likes; the site is as it was afterwards."""
    shutil.copytree(made.root, tmp_path / "ours")
    before = dict(made.site.answers)
    made.site.asked.clear()
    yield Ours(made.site, curate.open(tmp_path / "ours", quiet=True), tmp_path / "ours")
    made.site.answers.clear()
    made.site.answers.update(before)


@pytest.fixture
def partner(ours: Ours, tmp_path: Path) -> Project:
    return project(tmp_path / "partner", ours.site)


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    ws = stocked(tmp_path_factory.mktemp("golden"), golden_items(), golden_config())
    released(ws)
    return ws
