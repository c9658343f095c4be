"""Plug-ins from outside, files of one's own or of an installed package: found, checked, used, their change noticed.

`tests/system/test_installed.py` goes the whole way with the package, where curate is installed from its wheel.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate import plugins
from curate.admin import configured
from curate.config import load
from curate.errors import UsageError
from curate.options import Plugin
from curate.plugins import GROUPS, digest_of, fingerprint_of, identity_of, make, name_of, names
from curate.release.rows import config_sha256
from curate.testing import problems
from tests.support import outside
from tests.support.outside import NAMES, SAFE, SOURCE, call, furnish, of_file, text
from tests.support.pictures import encode, texture

KINDS = sorted(NAMES)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages with one that has a plug-in of each kind; importable here, too."""
    site = tmp_path / "site"
    outside.installed(site, dict(GROUPS))
    monkeypatch.syspath_prepend(str(site))
    yield site
    forget()


def forget() -> None:
    """As another process would see it."""
    for name in [one for one in sys.modules if one.partition(".")[0] == "curate_outside"]:
        del sys.modules[name]
    importlib.invalidate_caches()


# -- found, checked, used, its change noticed ------------------------------------------------------------------------


@pytest.mark.parametrize("package", KINDS)
def test_a_file_of_ones_own_is_taken_checked_and_its_change_noticed(package: str, tmp_path: Path) -> None:
    made = of_file(package, tmp_path, text(package))
    again = of_file(package, tmp_path, text(package))
    other = of_file(package, tmp_path, text(package).replace("TOLD = 1", "TOLD = 2"))
    assert name_of(made) == NAMES[package]
    assert problems(package, made) == []
    assert fingerprint_of(made) == fingerprint_of(again) != fingerprint_of(other)


@pytest.mark.parametrize("package", KINDS)
def test_a_plugin_of_an_installed_package_is_taken_and_its_change_noticed(package: str, site: Path) -> None:
    table = Plugin(NAMES[package], where="here")
    made = make(package, table, "thing")
    assert name_of(made) == NAMES[package]
    assert problems(package, made) == []
    forget()
    (site / "curate_outside" / f"{NAMES[package]}.py").write_text(text(package) + "# another\n")
    other = make(package, table, "thing")
    assert fingerprint_of(made) != fingerprint_of(other)


def test_the_whole_way_with_files_of_ones_own(tmp_path: Path) -> None:
    outside.the_whole_way(tmp_path, outside.files(tmp_path), tmp_path / "mine", call)


def test_a_change_of_what_a_plugin_imports_of_its_package_is_noticed(site: Path) -> None:
    before = digest_of(make("labelers", Plugin("my_labeler"), "labeler"))
    forget()
    (site / "curate_outside" / "helper.py").write_text("MORE = 1\n")
    assert digest_of(make("labelers", Plugin("my_labeler"), "labeler")) != before


def test_another_version_of_a_package_is_another_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its other files may have changed."""
    found = []
    for version in ("1.0", "1.1"):
        site = tmp_path / version
        outside.installed(site, dict(GROUPS), version)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(site))
            found.append(digest_of(make("labelers", Plugin("my_labeler"), "labeler")))
        forget()
    assert None not in found
    assert len(set(found)) == 2


def test_the_digest_is_part_of_a_releases_config(tmp_path: Path) -> None:
    root = furnish(tmp_path / "a", outside.config(outside.files(tmp_path / "a")))
    before = config_sha256(load(root))
    for name in ("my_labeler", "my_model"):
        path = root / "mine" / f"{name}.py"
        was = path.read_text()
        path.write_text(was + "# another\n")
        assert config_sha256(load(root)) != before
        path.write_text(was)
    assert config_sha256(load(root)) == before
    other = furnish(tmp_path / "b", outside.config(outside.files(tmp_path / "b")))
    assert config_sha256(load(other)) == before, "not where its file lies"


def test_what_is_not_named_is_not_imported(tmp_path: Path) -> None:
    outside.installed(tmp_path / "site", dict(GROUPS))
    (tmp_path / "site" / "curate_outside" / "__init__.py").write_text("raise SystemExit('imported')")
    root = furnish(tmp_path / "ws", SAFE + SOURCE)
    call(root, "fetch", env=outside.environment(tmp_path / "site"))
    said = call(root, "queue", "my_queue", code=2, env=outside.environment(tmp_path / "site"))
    assert "queue.my_queue: no such queue" in said


def test_check_and_inspect_load_none(tmp_path: Path) -> None:
    root = furnish(tmp_path, outside.config(outside.files(tmp_path)))
    for path in (root / "mine").iterdir():
        path.write_text("raise SystemExit('imported')")
    (root / "urls_neutral.txt").write_text("http://a.example/1.png\n")
    call(root, "sources", "inspect", str(root / "urls_neutral.txt"))
    folder = tmp_path / "data" / "train" / "neutral"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(encode(texture(5, (64, 64)), "PNG"))
    call(root, "check", str(tmp_path / "data"))
    call(root, "status")


# -- which files, which names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("use", ["../mine.py", "/mine.py", "./a/../../mine.py", "./out.py", "./link/mine.py"])
def test_a_file_that_is_not_below_the_folder_is_refused(use: str, tmp_path: Path) -> None:
    root = furnish(tmp_path / "ws", SAFE + SOURCE + f'[[labelers]]\nuse = "{use}"\n')
    (tmp_path / "mine.py").write_text(text("labelers", "Mine"))
    (root / "link").symlink_to(tmp_path)
    (root / "out.py").symlink_to(tmp_path / "mine.py")
    with pytest.raises(UsageError, match=r"labelers\..*lies below the folder of curate.toml"):
        load(root)


@pytest.mark.parametrize("use", ["./mine.txt", "./my-own.py", "./mine"])
def test_a_file_that_is_no_module_is_refused(use: str, tmp_path: Path) -> None:
    furnish(tmp_path, f'[[labelers]]\nuse = "{use}"\n')
    with pytest.raises(UsageError, match=r"is a Python file whose name is a name"):
        load(tmp_path)


def test_a_file_that_somebody_else_could_write_is_not_run(tmp_path: Path) -> None:
    of_file("labelers", tmp_path, text("labelers"))
    (tmp_path / "my_labeler.py").chmod(0o666)
    with pytest.raises(UsageError, match=r"my_labeler\.py: everybody may write to it"):
        make("labelers", Plugin(str(tmp_path / "my_labeler.py")), "labeler")


def test_a_package_that_somebody_else_could_write_is_not_run(site: Path) -> None:
    (site / "curate_outside" / "__init__.py").write_text("raise SystemExit('imported')")
    (site / "curate_outside" / "__init__.py").chmod(0o666)
    with pytest.raises(UsageError, match=r"__init__\.py: everybody may write to it"):
        make("labelers", Plugin("my_labeler"), "labeler")


@pytest.mark.parametrize("package", KINDS)
def test_a_name_that_two_have_is_refused_with_both(package: str, site: Path, tmp_path: Path) -> None:
    taken = names(package)[0]
    (tmp_path / f"{taken}.py").write_text("raise SystemExit('imported')")
    with pytest.raises(UsageError, match=rf"curate's own {package}.{taken} and .*/{taken}\.py"):
        make(package, Plugin(str(tmp_path / f"{taken}.py")), "thing")
    points = site / "curate_outside.dist-info" / "entry_points.txt"
    points.write_text(f"[{GROUPS[package]}]\n{taken} = curate_outside:One\ntwice = a:A\n")
    other = site / "other.dist-info"
    other.mkdir()
    (other / "entry_points.txt").write_text(f"[{GROUPS[package]}]\ntwice = b:B\n")
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    fresh()
    with pytest.raises(UsageError, match=rf"own {package}.{taken} and curate_outside:One of the .* curate-outside"):
        make(package, Plugin(taken), "thing")
    with pytest.raises(UsageError, match=r"a:A of the .* curate-outside and b:B of the installed package other"):
        make(package, Plugin("twice"), "thing")


def test_two_formats_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "my_format.py").write_text(text("manifests"))
    furnish(tmp_path, SAFE + SOURCE + '[export]\nformats = ["./a/my_format.py", "./b/my_format.py"]\n')
    with pytest.raises(UsageError, match="two are called 'my_format'"):
        configured.formats(load(tmp_path))


def fresh() -> None:
    """Packages are looked for anew."""
    plugins._entries.cache_clear()


# -- two tables of one plug-in ---------------------------------------------------------------------------------------


def test_two_tables_of_one_labeler_stand_side_by_side_by_name(tmp_path: Path) -> None:
    uses = outside.files(tmp_path)
    second = f'[[labelers]]\nuse = "{uses["labelers"]}"\nfactor = 2.0\n{{}}[label]\n'
    config = outside.config(uses)
    root = furnish(tmp_path, config.replace("[label]\n", second.format("")))
    assert "labelers.my_labeler: configured twice" in call(root, "fetch", code=2)
    (root / "curate.toml").write_text(config.replace("[label]\n", second.format('name = "twice"\n')))
    call(root, "fetch")
    call(root, "dedupe")
    said = call(root, "label")
    assert [one["name"] for one in said["functions"]] == ["told", "twice_told"]
    assert [one["coverage"] for one in said["functions"]] == [1.0, 1.0]
    tables = {path.name.partition("@")[0] for path in (root / "work" / "tables").iterdir()}
    assert {"my_labeler", "twice"} <= tables


def test_a_named_labeler_has_its_own_columns_and_fingerprint(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from curate.label.functions import functions_of
    from curate.records import Axis

    def named(name: str, use: str = "my_labeler") -> Any:
        (tmp_path / f"{use}.py").write_text(text("labelers", use.title().replace("_", "")))
        return make("labelers", Plugin(str(tmp_path / f"{use}.py"), {"name": name}), "labeler")

    assert identity_of(make("labelers", Plugin("declared", {"name": "said"}), "labeler")) == ["declared"]
    assert identity_of(make("labelers", Plugin("declared"), "labeler")) == []
    one = named("twice")
    assert name_of(one) == "twice"
    assert fingerprint_of(one) != fingerprint_of(named("twice", "other"))
    (function,) = functions_of([one])(Axis(), ["twice_mean"])
    assert function.name == "twice_told"
    assert function(SimpleNamespace(twice_mean=3.0, my_labeler_mean=-1.0)) == 2
    assert function(SimpleNamespace(twice_mean=-3.0, my_labeler_mean=1.0)) == -1


def test_named_sources_bear_their_names(tmp_path: Path) -> None:
    second = '[[sources]]\nname = "second"\nuse = "local"\npath = "images"\nlabel = "neutral"\n'
    root = furnish(tmp_path, SAFE + SOURCE + second)
    call(root, "fetch")
    assert [one["source"].partition(":")[0] for one in call(root, "status")["sources"]] == ["local", "second"]


def test_a_release_names_a_source_as_its_table_does(tmp_path: Path) -> None:
    import csv

    root = furnish(tmp_path, SAFE + SOURCE + 'name = "mine"\n[export]\nformats = ["csv"]\n')
    for verb in (["fetch"], ["dedupe"], ["label"], ["export", "1.0.0"]):
        call(root, *verb)
    rows = [
        row
        for path in (root / "work" / "exports" / "1.0.0" / "csv").glob("*.csv")
        for row in csv.DictReader(path.read_text().splitlines())
    ]
    assert {row["source"] for row in rows} == {"mine"}


def test_a_name_hides_no_refused_source(tmp_path: Path) -> None:
    """What is refused by its own name stays so, whatever its table calls it."""
    (tmp_path / "nudenet.py").write_text(text("sources", "Nudenet"))
    root = furnish(tmp_path, SAFE + '[[sources]]\nuse = "./nudenet.py"\nname = "flowers"\n')
    assert "nudenet" in call(root, "fetch", code=4).lower()


@pytest.mark.parametrize(
    ("name", "message"), [("Two Words", "is no name"), ("open_nsfw", "a plug-in of curate's own"), ("", "is no name")]
)
def test_a_name_that_cannot_be_one(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make("labelers", Plugin("declared", {"name": name}), "labeler")
