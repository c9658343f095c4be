"""Native lists are read faithfully: golden files, whatever wrote them; what cannot be read is named, never dropped."""

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import CurateError, GateError, UsageError
from curate.options import Plugin
from curate.plugins import make, names
from curate.records import CorruptRow, ListedHash, SkippedRow

LISTS = Path(__file__).resolve().parents[1] / "support" / "lists"
READERS = names("curate.screening.lists")
FILES = {"lines": "lines.txt", "tx_csv": "tx.csv", "tx_local": "tx_local.txt"}


def pdq(seed: int) -> str:
    """A PDQ hash by number: 128 of 256 bits are set."""
    bits = [1] * 128 + [0] * 128
    random.Random(seed).shuffle(bits)
    return f"{int(''.join(map(str, bits)), 2):064x}"


def digest(algorithm: str, number: int) -> str:
    return hashlib.new(algorithm, f"harmless {number}".encode()).hexdigest()


def read(use: str, path: Path) -> list[ListedHash | CorruptRow | SkippedRow]:
    options = {"path": str(path)}
    return list(make("curate.screening.lists", Plugin(use, options, "screening.lists"), "hash list").rows())


def golden(use: str) -> tuple[set[tuple[str, str]], dict[str, str], dict[str, str], dict[str, str]]:
    """The hashes, the doubts, the corrupt rows and the skipped ones of a reader's golden file."""
    rows = read(use, LISTS / FILES.get(use, use))
    return (
        {(row.algorithm, row.value) for row in rows if isinstance(row, ListedHash) and not row.negative},
        {row.entry: row.doubt for row in rows if isinstance(row, ListedHash) and row.doubt},
        {row.entry: row.problem for row in rows if isinstance(row, CorruptRow)},
        {row.entry: row.kind for row in rows if isinstance(row, SkippedRow)},
    )


def test_every_format_has_a_golden_file() -> None:
    assert all((LISTS / FILES.get(use, use)).exists() for use in READERS)
    assert READERS == ["lines", "ncmec", "stopncii", "threatexchange", "tx_csv", "tx_local"]


def test_lines() -> None:
    hashes, _, corrupt, _ = golden("lines")
    exact = {("md5", digest("md5", 1)), ("sha1", digest("sha1", 2)), ("sha256", digest("sha256", 3))}
    assert hashes == exact | {("pdq", digest("sha256", 3)), ("sha256", pdq(0)), ("pdq", pdq(0))}
    assert set(corrupt) == {"line 7", "line 8"}


def test_lines_of_one_algorithm(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes((pdq(0).upper() + "\n" + digest("md5", 1) + "\n").encode("utf-16"))
    options = {"path": str(tmp_path / "list.txt"), "algorithm": "pdq"}
    rows = list(make("curate.screening.lists", Plugin("lines", options, ""), "hash list").rows())
    assert rows == [ListedHash("pdq", pdq(0), "line 1"), CorruptRow("line 2", "pdq of 32 digits, not 64")]


def test_tx_csv() -> None:
    hashes, doubts, corrupt, skipped = golden("tx_csv")
    assert hashes == {
        ("pdq", pdq(0)), ("md5", digest("md5", 1)), ("sha256", digest("sha256", 2)), ("sha1", digest("sha1", 3)),
        ("pdq", "0" * 64), ("pdq", pdq(2)), ("sha256", pdq(2)),
    }  # fmt: skip
    assert doubts["line 8"] == "0 of 256 bits are set, not 128"
    assert "a_new_signal" in doubts["line 11"]
    assert corrupt == {"line 7": "pdq of 32 digits, not 64", "line 12": "no signal"}
    assert skipped == {"line 9": "photodna", "line 10": "raw_text"}
    rows = read("tx_csv", LISTS / "tx.csv")
    assert {row.value for row in rows if isinstance(row, ListedHash) and row.negative} == {pdq(1)}


def test_tx_local() -> None:
    hashes, _, corrupt, skipped = golden("tx_local")
    assert hashes >= {("pdq", pdq(0)), ("md5", digest("md5", 1)), ("sha256", digest("sha256", 2)), ("pdq", pdq(1))}
    assert (set(corrupt), set(skipped)) == ({"line 5"}, {"line 6"})


def test_threatexchange() -> None:
    hashes, doubts, corrupt, skipped = golden("threatexchange")
    assert hashes == {
        ("pdq", pdq(0)),
        ("md5", digest("md5", 1)),
        ("sha256", digest("sha256", 2)),
        ("sha1", digest("sha1", 3)),
    }
    assert set(doubts) == {"8"}
    assert set(corrupt) == {"7", "page2.json[5]"}
    assert skipped == {"6": "hash_tmk"}


def test_ncmec() -> None:
    hashes, _, corrupt, skipped = golden("ncmec")
    assert hashes == {
        ("md5", digest("md5", 1)), ("sha1", digest("sha1", 1)), ("pdq", pdq(0)), ("md5", digest("md5", 3)),
        ("md5", "face" * 8), ("md5", "cafe" * 8),
    }  # fmt: skip
    assert corrupt == {"42-short": "pdq of 32 digits, not 64", "42-byhref": "pdq: only a reference (href)"}
    assert skipped == {
        "42-image1": "pdna",
        "42-twice": "deleted",
        "101-willdelete": "deleted",
        "101-largetags": "tmk-pdqf",
    }


def test_ncmec_with_pages_missing(tmp_path: Path) -> None:
    page = tmp_path / "page1.xml"
    page.write_bytes((LISTS / "ncmec" / "page1.xml").read_bytes())
    corrupt = {row.entry: row.problem for row in read("ncmec", tmp_path) if isinstance(row, CorruptRow)}
    assert "the last is missing" in corrupt["page1.xml"]
    text = page.read_text()
    for cut in (10, 100, len(text) // 2, len(text) - 20):
        page.write_text(text[:cut])
        with pytest.raises(GateError, match=r"page1\.xml"):
            read("ncmec", tmp_path)


LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><queryResult><images>&b;</images></queryResult>'
XXE = '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><queryResult><images>&a;</images></queryResult>'


@pytest.mark.parametrize("text", [LAUGHS, XXE, "<!DOCTYPE l SYSTEM 'http://127.0.0.1:9/x.dtd'><queryResult/>"])
def test_entities_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.xml").write_text(text)
    with pytest.raises(GateError, match="can be trusted"):
        read("ncmec", tmp_path / "list.xml")


def test_stopncii() -> None:
    hashes, doubts, corrupt, skipped = golden("stopncii")
    assert hashes == {
        ("pdq", pdq(0)), ("pdq", pdq(2)), ("pdq", pdq(3)), ("md5", digest("md5", 1)), ("pdq", pdq(5)),
        ("sha256", pdq(5)),
    }  # fmt: skip
    assert list(doubts) == ["page2.json[3]"]
    assert set(corrupt) == {"page1.json[5]", "page2.json[5]"}
    assert sorted(skipped.values()) == ["url", "videotmk", "withdrawn", "withdrawn"]


def test_stopncii_with_pages_missing(tmp_path: Path) -> None:
    (tmp_path / "page1.json").write_bytes((LISTS / "stopncii" / "page1.json").read_bytes())
    assert CorruptRow("page1.json", "the last page says that there are more; fetch the rest") in read(
        "stopncii", tmp_path
    )


@pytest.mark.parametrize("use", READERS)
def test_a_missing_file_is_a_usage_error(use: str, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UsageError):
            read(use, path)


def damaged() -> Iterator[tuple[str, bytes]]:
    for use in READERS:
        path = LISTS / FILES.get(use, use)
        yield use, (path if path.is_file() else sorted(path.iterdir())[0]).read_bytes()


@pytest.mark.parametrize(("use", "data"), list(damaged()), ids=READERS)
@settings(max_examples=60)
@given(st.data())
def test_whatever_is_in_the_file_it_is_read_or_refused(
    use: str, data: bytes, tmp_path_factory: pytest.TempPathFactory, drawn: st.DataObject
) -> None:
    """Cut, overwritten or nonsense: rows or a CurateError, never anything else."""
    at = drawn.draw(st.integers(0, len(data)))
    junk = drawn.draw(st.binary(max_size=8))
    whole = drawn.draw(st.sampled_from([data[:at] + junk, data[:at] + junk + data[at + len(junk) :], junk * 9]))
    path = tmp_path_factory.mktemp("damaged") / "list"
    path.write_bytes(whole)
    try:
        rows = read(use, path)
    except CurateError:
        return
    for row in rows:
        assert row.entry
        if isinstance(row, ListedHash):
            assert len(row.value) == {"md5": 32, "sha1": 40}.get(row.algorithm, 64)
            assert row.value == row.value.lower()
            int(row.value, 16)


@pytest.mark.parametrize("name", names("curate.screening.lists"))
def test_a_pipe_is_no_list(tmp_path: Path, name: str) -> None:
    """It would be waited for without end."""
    os.mkfifo(tmp_path / "list")
    reader = make("curate.screening.lists", Plugin(name, {"path": "list"}, base=tmp_path), "hash list")
    with pytest.raises(UsageError, match="no plain file"):
        list(reader.rows())
