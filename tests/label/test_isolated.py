"""No function changes what another one sees, no labeler what another one says, and who did not look has not looked."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.label.rows import rows
from tests.support.outside import SAFE, SOURCE, call, furnish

FLAG = """
import numpy as np
from snorkel.labeling import labeling_function

@labeling_function()
def m_flag(x):
    return 3 if x.height > 20 else -1  # porn

@labeling_function()
def b_safe(x):
    return 2  # neutral
"""
ROW = """
@labeling_function()
def {name}(x):
    x.height = 0
    return -1
"""
OVER = """
@labeling_function()
def {name}(x):
    return -1

def _over(columns):
    np.asarray(columns["quality_sharpness"])[:] = 0
    columns["height"] = [0] * len(columns["height"])
    return np.full(len(columns["id"]), -1)

{name}.over = _over
"""
CONFIG = SAFE + SOURCE + '[[labelers]]\nuse = "quality"\n[label]\nfunctions = ["mine.py"]\nmodel = "majority"\n'


@pytest.mark.parametrize("meddling", [ROW, OVER], ids=["a row", "columns"])
@pytest.mark.parametrize("name", ["a_first", "z_last"])
def test_a_function_changes_nothing_for_the_others(meddling: str, name: str, tmp_path: Path) -> None:
    root = furnish(tmp_path, CONFIG)
    (root / "mine.py").write_text(FLAG + meddling.format(name=name))
    call(root, "fetch")
    said = call(root, "label", code=3 if meddling is ROW else 0)
    assert (said["labelled"], said["contradicted"]) == (0, 3)


def test_rows_are_shared_and_copies_are_not() -> None:
    import copy
    import pickle

    class Nobody:
        def of(self, ids: list[str]) -> list[Any]:
            from curate.policy.written import Written

            return [Written() for _ in ids]

    columns = {"id": ["a", "b"], "n": np.arange(2.0), "emb": np.ones((2, 3), np.float32)}
    found = rows(columns, Nobody(), 0, 2)  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match=r"cannot be changed \(n\)"):
        found[0].n = 5
    with pytest.raises(AttributeError, match="cannot be changed"):
        del found[0].n
    with pytest.raises(ValueError, match="read-only"):
        found[0].emb /= 2
    for other in (copy.copy(found[0]), pickle.loads(pickle.dumps(found[0]))):
        other.n = 7
        assert (other.n, found[0].n) == (7, 0)


FAULTY = '''
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from curate.contracts import Resources

@dataclass(frozen=True)
class Texty:
    """Raises on one file."""
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(batch=8, side=0)
    columns: ClassVar[dict] = {{"n": "float32"}}
    def load(self): pass
    def label(self, batch):
        if any({wrong} for one in batch):
            raise ValueError("no such letter")
        return {{"n": np.zeros(len(batch), np.float32)}}
'''


def test_what_a_labeler_without_pixels_raises_on_was_not_looked_at(tmp_path: Path) -> None:
    config = SAFE + SOURCE + '[[labelers]]\nuse = "./texty.py"\n[label]\nfunctions = ["mine.py"]\nmodel = "majority"\n'
    root = furnish(tmp_path, config)
    (root / "texty.py").write_text(FAULTY.format(wrong="'1.png' in one.ref"))
    (root / "mine.py").write_text(FLAG.replace("return 3 if x.height > 20 else -1", "return -1"))
    call(root, "fetch")
    said = call(root, "label", code=3)
    assert (said["unscored"], said["labelled"], said["contradicted"]) == (1, 2, 1)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = '[[labelers]]\nuse = "./{0}.py"\nname = "{1}"\n'
    root = furnish(tmp_path, SAFE + SOURCE + table.format("one", "my") + table.format("two", "my_p"))
    for name, column in (("one", "p_n"), ("two", "n")):
        source = FAULTY.format(wrong="False").replace("Texty", name.title()).replace('{"n"', '{"' + column + '"')
        (root / f"{name}.py").write_text(source.replace('{"n": np', '{"' + column + '": np'))
    call(root, "fetch")
    said = call(root, "label", code=2)
    assert "labelers.my_p: its column is my_p_n, which my has, too" in said
    (root / "curate.toml").write_text(SAFE + SOURCE + table.format("two", "media").replace("two", "three"))
    (root / "three.py").write_text(FAULTY.format(wrong="False").replace("Texty", "Three").replace('"n"', '"type"'))
    assert "media_type, which a row has, too" in call(root, "label", code=2)


STOP = """
import os, signal, sys
import curate
from curate.store.catalog import Catalog
project = curate.open(sys.argv[1])
count = Catalog._count
def interrupted(self):
    count(self)
    os.kill(os.getpid(), signal.{name})
Catalog._count = interrupted
try:
    project.label()
except BaseException as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interruption_while_the_catalog_is_closed_breaks_nothing(name: str, tmp_path: Path) -> None:
    root = furnish(tmp_path, CONFIG)
    (root / "mine.py").write_text(FLAG)
    call(root, "fetch")
    command = [sys.executable, "-c", STOP.format(name=name), str(root)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=250)
    wanted = {"SIGINT": "InterruptionError", "SIGTERM": ""}[name]
    assert run.stdout.strip() == wanted, run.stderr[-2000:]
    assert call(root, "verify")["items"] == []
