"""The suite for authors of plug-ins: what it finds, `curate new`, and `curate doctor --plugin`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from curate import plugins, testing
from curate.engine import _confine as confinement
from tests.support.outside import NAMES, SAFE, SOURCE, call, furnish, of_file, text

KINDS = sorted(NAMES)
AT_RANDOM = """yield Page((Candidate(Locator("url", str(id(object()))), "r", "neutral"),) * 2, "x")
        yield Page(tuple"""
BY_COMPANY = """for one in batch]
        means = [one + len(batch) for one in means]"""
ODD = {
    "sources": ("yield Page(tuple", AT_RANDOM, "lists something else|goes on elsewhere"),
    "labelers": ("for one in batch]", BY_COMPANY, "gives another mean for a picture that comes alone"),
    "manifests": ('{one} {TOLD}"', '{one} {id(out)} {out}"', "writes other bytes the second time"),
    "curate.label.models": ("np.eye(k)[first]", "np.eye(k)[first] * 2", "probabilities that are none"),
    "curate.review.queues": ("Selection(row)", "Selection(0)", "one twice"),
    "curate.screening.lists": ("raise UsageError", "return; raise UsageError", "says nothing of a file that is not"),
    "curate.screening.matchers": ("def ask(self, items)", "def ask(self)", "does not take"),
}


@pytest.mark.parametrize("package", KINDS)
def test_the_suite_finds_what_breaks_a_promise(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    check = {
        "sources": "source", "labelers": "labeler", "manifests": "format", "curate.label.models": "label_model",
        "curate.review.queues": "queue", "curate.screening.lists": "hash_list", "curate.screening.matchers": "matcher",
    }[package]  # fmt: skip
    function = getattr(testing, f"check_{check}")
    function(of_file(package, tmp_path, text(package)))
    was, instead, message = ODD[package]
    assert was in text(package)
    (tmp_path / f"{NAMES[package]}.py").write_text(text(package).replace(was, instead))
    wrong = plugins.of_file(tmp_path / f"{NAMES[package]}.py")()
    with pytest.raises(AssertionError, match=message):
        function(wrong)


WRONG = {
    "beside": ("manifests", "def write(self, release, out):", """def write(self, release, out):
        (out.parent / "mine.json").write_text("{}")""", "writes mine.json beside the folder"),
    "a row": ("manifests", "def write(self, release, out):", """def write(self, release, out):
        import dataclasses
        rows = {split: table.slice(0, max(0, len(table) - 1)) for split, table in release.rows.items()}
        release = dataclasses.replace(release, rows=rows)""", "does not write row"),
    "a path": ("sources", "yield Page(tuple", """yield Page((Candidate(Locator("path", "a.jpg"), "r", "neutral"),), "x")
        yield Page(tuple""", "a path must be absolute"),
    "no url": ("sources", "yield Page(tuple", """yield Page((Candidate(Locator("url", "/tmp/a"), "r", "neutral"),), "x")
        yield Page(tuple""", "a url begins with http"),
    "a place": ("sources", "    def classes(self", """    def stamp(self):
        return "1"

    def place_of(self, label):
        return ""

    def classes(self""", "has place_of"),
    "a stamp": ("sources", "    def classes(self", """    def stamp(self):
        return str(id(object()))[:0] + str(__import__("time").perf_counter_ns())

    def place_of(self, label):
        return "here"

    def classes(self""", "another one though nothing has changed"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(WRONG))
def test_the_suite_finds_what_a_stranger_got_past_it(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    package, was, instead, message = WRONG[case]
    assert was in text(package), text(package)
    (tmp_path / f"{NAMES[package]}.py").write_text(text(package).replace(was, instead, 1))
    with pytest.raises(AssertionError, match=message):
        getattr(testing, f"check_{testing.KINDS[package]}")(plugins.of_file(tmp_path / f"{NAMES[package]}.py")())


@pytest.mark.parametrize("what", ["prints", "leaves", "raises"])
def test_the_suite_says_what_a_method_does_beside(what: str, tmp_path: Path) -> None:
    from curate.testing import check_labeler

    line = {"prints": "print('hello')", "leaves": "raise SystemExit(0)", "raises": "1 / 0"}[what]
    wrong = of_file("labelers", tmp_path, text("labelers").replace("        pass", f"        {line}", 1))
    with pytest.raises(AssertionError, match=r"prints|raised SystemExit|raised ZeroDivisionError"):
        check_labeler(wrong)


@pytest.mark.parametrize("kind", ["source", "labeler", "format"])
def test_what_new_writes_passes_the_suite(kind: str, tmp_path: Path) -> None:
    table = '[[sources]]\nuse = "./first.py"\npath = "first.csv"\n'
    root = furnish(tmp_path, SAFE + (table if kind == "source" else SOURCE))
    (root / "first.csv").write_text("url,label\nhttp://a.example/1.jpg,neutral\n")
    said = call(root, "new", kind, "first")
    assert "./first.py" in said["use"]
    if kind == "source":
        bare = furnish(tmp_path / "bare", SAFE + SOURCE)
        checks = call(bare, "doctor", "--plugin", said["file"], code=3)
        assert "first.py" in str(checks)
    checks = call(root, "doctor", "--plugin", said["file"])["checks"]
    assert [(one["name"], one["ok"]) for one in checks] == [
        ("plug-in", True), ("name", True), ("contract", True), ("behaviour", True),
        *[("functions", True)] * (kind == "labeler"),
    ]  # fmt: skip
    assert "is there already" in call(root, "new", kind, "first", code=2)


@pytest.mark.parametrize(
    ("kind", "name"), [("source", "local"), ("source", "No"), ("format", "class"), ("queue", "one")]
)
def test_what_new_does_not_write(kind: str, name: str, tmp_path: Path) -> None:
    furnish(tmp_path, SAFE + SOURCE)
    call(tmp_path, "new", kind, name, code=2)
    assert not list(tmp_path.glob("*.py"))


def test_doctor_says_what_is_wrong_with_one_file(tmp_path: Path) -> None:
    root = furnish(tmp_path, SAFE + SOURCE)
    (root / "my_labeler.py").write_text(text("labelers").replace('"float32"', '"int8"'))
    command = [sys.executable, "-m", "cli", "doctor", "--plugin", str(root / "my_labeler.py"), "-w", str(root)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1, run.stderr
    assert "BAD   contract" in run.stdout
    assert "it has a column of 'int8'" in run.stdout
    (root / "my_labeler.py").write_text("import nowhere_at_all\n")
    assert "nowhere_at_all" in call(root, "doctor", "--plugin", str(root / "my_labeler.py"), code=2)


@pytest.mark.parametrize(("does", "said"), [
    ('open("EVIL", "w").write("x")', "PermissionError|denied"),
    ('__import__("socket").create_connection(("127.0.0.1", 9), 1)', "PermissionError|denied|not permitted"),
    ('open("/etc/hostname").read()', "PermissionError|denied"),
])  # fmt: skip
def test_a_labeler_is_tried_where_label_runs_it(does: str, said: str, tmp_path: Path) -> None:
    root = furnish(tmp_path, SAFE + SOURCE)
    does = does.replace("EVIL", str(tmp_path / "evil"))
    wrong = text("labelers").replace("        means =", f"        {does}\n        means =")
    (root / "my_labeler.py").write_text(wrong)
    command = [sys.executable, "-m", "cli", "doctor", "--plugin", str(root / "my_labeler.py"), "-w", str(root)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert not (tmp_path / "evil").exists()
    if confinement.lacking() is None:
        assert run.returncode == 1, run.stdout
        assert re.search(said, run.stdout), run.stdout
