"""What the code of a labeler from outside raises, anywhere, is a line about that labeler."""

from pathlib import Path
from typing import Any

import pytest

from curate.config import Config
from curate.errors import CurateError, UsageError
from curate.features.score_worker import Scoring, blank, fill
from curate.label.functions import functions_of, unique
from curate.media.decode import Bounds
from curate.store.blobs import LocalBlobs
from curate.testing import made
from curate.testing.diagnosis import diagnose
from tests.support.outside import BESIDE, of_file, text

AXIS = Config().taxonomy.first
ONE = "    from snorkel.labeling import LabelingFunction\n    return [LabelingFunction({}, lambda x: 0)]"
FUNCTIONS = {
    "raises": ("    1 / 0", "my_labeler.py: ZeroDivisionError"),
    "leaves": ("    raise SystemExit(3)", "my_labeler.py: SystemExit: 3"),
    "gives nothing": ("    pass", "my_labeler.py: TypeError: 'NoneType'"),
    "gives no functions": ("    return [len, 5]", "my_labeler.py: functions.. gives <built-in function len>"),
    "prints": ("    print('hello')\n    return []", "it prints .'hello'"),
    "gives a name that cannot be shown": (ONE.format("'a\\x1b[31m\\n'"), "is called 'a.x1b.31m.n'"),
    "gives no name": (ONE.format("''"), "is called ''"),
    "gives a long name": (ONE.format("'a' * 101"), "1 to 100 characters"),
}


@pytest.mark.parametrize("fault", FUNCTIONS)
def test_functions_that_cannot_be_had_are_a_line(fault: str, tmp_path: Path) -> None:
    body, message = FUNCTIONS[fault]
    labeler = of_file(
        "labelers", tmp_path, text("labelers").replace(BESIDE, f"\ndef functions(axis, columns):\n{body}\n")
    )
    with pytest.raises(UsageError, match=message):
        unique(functions_of([labeler])(AXIS, frozenset()))
    *_, (what, well, said) = diagnose(tmp_path / "my_labeler.py", [], [AXIS])
    assert (what, well) == ("functions", False)
    assert "my_labeler" in said or "label.functions" in said


def test_doctor_counts_the_functions_of_a_labeler(tmp_path: Path) -> None:
    of_file("labelers", tmp_path, text("labelers"))
    assert [*diagnose(tmp_path / "my_labeler.py", [], [AXIS])][-1] == ("functions", True, "1 on axis content")


SILENT = "class Silent(Exception):\n    def __str__(self):\n        1 / 0\n"


@pytest.mark.parametrize(
    ("raised", "said"),
    [("OSError('nowhere')", "OSError: nowhere"), ("SystemExit(0)", "SystemExit: 0"), ("Silent()", "Silent")],
)
def test_what_load_and_label_raise_is_a_line(raised: str, said: str, tmp_path: Path) -> None:
    def labeler(method: str) -> Any:
        (folder := tmp_path / method.partition("(")[0]).mkdir()
        source = text("labelers").replace(f"def {method}:", f"def {method}:\n        raise {raised}")
        return of_file("labelers", folder, f"{SILENT}{source}")

    with pytest.raises(CurateError, match=rf"labelers\.my_labeler: load\(\): {said}"):
        Scoring({"my_labeler": labeler("load(self)")}, LocalBlobs(tmp_path), Bounds()).load()
    pictures, failing = made.pictures(), labeler("label(self, batch)")
    with pytest.raises(CurateError, match=rf"labelers\.my_labeler: .*{said} .and on every other picture"):
        fill(blank(failing, len(pictures)), failing, {n: [one] for n, one in enumerate(pictures)})
