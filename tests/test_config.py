"""curate.toml: strict, with a suggestion, naming the key and the file."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.admin.init import write_config
from curate.config import Config, load
from curate.errors import UsageError
from curate.options import Bytes, Plugin, build, convert
from curate.plugins import make, names


def config(tmp_path: Path, text: str) -> Config:
    (tmp_path / "curate.toml").write_text(text, encoding="utf-8")
    return load(tmp_path)


def test_the_shortest_file_names_one_source(tmp_path: Path) -> None:
    read = config(tmp_path, '[[sources]]\nuse = "local"\npath = "images"\n')
    assert read.sources[0].use == "local"
    assert read.taxonomy.first.classes == ("drawings", "hentai", "neutral", "porn", "sexy")


def test_the_file_that_init_writes_is_read(tmp_path: Path) -> None:
    write_config(tmp_path)
    assert load(tmp_path).screening.required
    with pytest.raises(UsageError, match="there is one already"):
        write_config(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[fecth]", r"curate.toml: fecth: no such key; did you mean 'fetch'"),
        ("[fetch]\ncontcat = 'a'", r"fetch.contcat: no such key; did you mean 'contact'"),
        ("[fetch]\nconcurrency = 'many'", r"fetch.concurrency: 'many' is not a whole number"),
        ("[fetch]\nconcurrency = true", r"fetch.concurrency: True is not a whole number"),
        ("[fetch]\nmax_bytes = '64 MiBs'", r"fetch.max_bytes: '64 MiBs' is not a size"),
        ("[fetch]\nallow_ports = 80", r"fetch.allow_ports: 80 is not a list"),
        ("[[sources]]\npath = 'x'", r'sources\[0\]: this table needs use = "NAME"'),
        ("[dedupe]\nhash = 'phahs'", r"dedupe.hash: no such choice 'phahs'; did you mean 'phash'"),
        ("[train]\naugment = ['crop', 'flip', 'crop']", r"train.augment: 'crop' is there twice"),
        ("[export]\nformats = ['./a.py', 'csv', './a.py']", r"export.formats: '.*a.py' is there twice"),
        ("[export]\nsplits = { train = 0.9, val = 0.2, test = 0.1 }", r"export: splits needs train, val, test"),
        ("[export]\nsplits = { train = 1.0 }", r"export: splits needs train, val, test"),
        ("[export]\nsplits = { train = nan, val = 0, test = 0 }", r"export.splits.train: nan is not a number"),
        ("[export]\nmin_probability = -inf", r"export.min_probability: -inf is not a number"),
        (f"[export]\nmin_probability = {'9' * 400}", r"export.min_probability: a number of that size"),
        (f"[fetch]\nmax_bytes = '{'9' * 400} MB'", r"fetch.max_bytes: inf is not a number"),
        (f"[export]\nmax_side = {'9' * 5000}", r"curate.toml: not TOML"),
        (f"a = {'[' * 5000}", r"curate.toml: not TOML that can be read: nested too deep"),
        ("taxonomy = 3", r"taxonomy: 3 is not a table"),
        ("[[taxonomy.axes]]\nclasses = ['a', 'b']\nsafe = ['c']", r"\['c'\] not among its classes|not among"),
        ("not toml", r"curate.toml: not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        config(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"curate\.toml: no such file; `curate init`"):
        load(tmp_path)


def test_an_unknown_plugin_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"labelers.opn_nsfw: no such labeler; did you mean 'open_nsfw'"):
        make("labelers", Plugin("opn_nsfw", where="labelers"), "labeler")
    with pytest.raises(UsageError, match=r"sources.xyz: no such source; there are: .*local.*a file: \"\./xyz\.py\"\)"):
        make("sources", Plugin("xyz", where="sources"), "source")


def test_an_unknown_option_of_a_plugin_is_named() -> None:
    with pytest.raises(UsageError, match=r"sources.local.pth: no such key; did you mean 'path'"):
        make("sources", Plugin("local", {"pth": "x"}, "sources"), "source")
    with pytest.raises(UsageError, match=r"sources.local.path: this key is needed"):
        make("sources", Plugin("local", {}, "sources"), "source")


def test_listing_finds_files() -> None:
    assert {"local", "urllist"} <= set(names("sources"))


@given(st.integers(0, 10**6), st.sampled_from([("", 1), ("KB", 1000), ("KiB", 1024), ("MiB", 2**20), ("GiB", 2**30)]))
def test_sizes(number: int, unit: tuple[str, int]) -> None:
    name, factor = unit
    assert convert(Bytes, f"{number} {name}", "x", Path()) == number * factor


def test_defaults_build() -> None:
    assert build(Config, {}, "", Path()) == Config()


def test_paths_are_seen_from_the_folder_of_the_file_or_from_ones_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/homes/me")
    for said, path in (("a/b.csv", tmp_path / "a/b.csv"), ("/c.csv", Path("/c.csv")), ("~/d", Path("/homes/me/d"))):
        assert config(tmp_path, f'[export]\nsplit_from = "{said}"').export.split_from == path


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "kept from us"])
def test_a_config_that_cannot_be_read_is_a_line(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "curate.toml"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    else:
        path.write_text("")
        refused = PermissionError(errno.EACCES, "Permission denied")
        monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(refused))
    with pytest.raises(UsageError, match=r"curate\.toml: (no plain file|cannot be read: Permission denied)"):
        load(tmp_path)
