"""The figures of lists: against a plain count, offline, without a single URL in what is said."""

import json
import socket
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import ItemError, UsageError
from curate.fetch.inspect_lists import _host, inspect
from curate.net.urls import host_key


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*args: object, **kwargs: object) -> None:
        raise AssertionError("opened a socket")

    monkeypatch.setattr(socket, "socket", opened)
    monkeypatch.setattr(socket, "getaddrinfo", opened)


def write(root: Path, lists: dict[str, list[str]]) -> Path:
    for name, lines in lists.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes("\n".join(lines).encode())
    return root


def naive(lists: dict[str, list[str]]) -> dict[str, object]:
    """The same figures, counted as they are defined."""
    said = {name: [x.strip() for x in lines if x.strip() and x.strip()[0] != "#"] for name, lines in lists.items()}
    classes: Counter[str] = Counter()
    labels: dict[str, set[str]] = {}
    hosts: Counter[str] = Counter()
    malformed = 0
    for name, lines in said.items():
        label = name.split("/")[1]
        classes[label] += len(lines)
        for line in lines:
            labels.setdefault(line, set()).add(label)
            try:
                hosts[host_key(line)] += 1
            except ItemError:
                malformed += 1
    return {
        "files": len(said),
        "lines": sum(map(len, said.values())),
        "unique": len(labels),
        "duplicates_within": sum(len(lines) - len(set(lines)) for lines in said.values()),
        "conflicts": sum(len(found) > 1 for found in labels.values()),
        "malformed": malformed,
        "hosts": dict(hosts),
        "classes": dict(classes),
    }


LINES = [
    "http://a.example/1.jpg", "http://a.example/2.jpg", "https://a.example/1.jpg", "http://B.example:81/x?y=1#z", "",
    "https://b.example", "http://a.example/x http://a.example/y", "a.example/1.jpg", "ftp://a.example/1.jpg",
    "not a url", "# comment", "  ", " http://a.example/1.jpg ", "http://é.example/ü.jpg", "http://2130706433/", "http://a.example/\\x",
    "http://u:p@a.example/1.jpg", "http://a.example/xhttp://b.example/y", "http://[::1]/x", "https:///x", "http://",
]  # fmt: skip
NAMES = [
    "raw_data/one/urls_one.txt", "raw_data/two/urls_two.txt", "raw_data/age_teen/urls_age_teen.txt",
    "raw_data/one/reddit_sub_a/urls.txt", "raw_data/two/reddit_sub_b/urls.txt", "raw_data/two/reddit_sub_c/urls.txt",
]  # fmt: skip


@settings(max_examples=60)
@given(lists=st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(LINES), max_size=12), min_size=1))
def test_as_a_plain_count(lists: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    found = inspect(write(tmp_path_factory.mktemp("tree"), lists))
    expected = naive(lists)
    assert {key: found[key] for key in expected} == expected
    denied = expected["classes"].get("age_teen", 0) if "raw_data/age_teen/urls_age_teen.txt" in lists else None  # type: ignore[attr-defined]
    assert found["denied"] == ({} if denied is None else {"age_teen*": denied})
    for part, leaf in (("aggregates", False), ("leaves", True)):
        some = naive({name: lines for name, lines in lists.items() if ("reddit_sub" in name) == leaf})
        assert found[part] == {key: some[key] for key in ("files", "lines", "unique", "duplicates_within")}
    said = json.dumps(found)
    assert "://" not in said
    assert not any(line.strip() in said for line in LINES if "/" in line and line != "https:///x")


@given(st.from_regex(r"(?:https?://|HTTP://|ftp://|//|)[a-zA-Z0-9.\-_:@%]{0,12}[/?#\\ ]?[!-~é ]{0,12}", fullmatch=True))
def test_the_short_way_to_a_host_is_the_long_one(url: str) -> None:
    try:
        expected = host_key(url)
    except ItemError:
        expected = None
    assert _host(url) == expected


def test_the_refused_layout_is_inspected_and_named(tmp_path: Path) -> None:
    root = write(tmp_path, {"raw_data/one/urls_one.txt": ["http://a.example/1"], NAMES[3]: ["http://a.example/1"]})
    found = inspect(root)
    assert found["refused"] == "ebazarov_urls"
    assert (found["lines"], found["unique"], found["conflicts"], found["denied"]) == (2, 1, 0, {})
    assert inspect(root / "raw_data" / "one" / "urls_one.txt")["classes"] == {"one": 1}


def test_one_file_and_a_table(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("http://a.example/1\nhttp://a.example/1\n")
    found = inspect(tmp_path / "list.txt")
    assert (found["classes"], found["duplicates_within"], found["refused"]) == ({"unlabelled": 2}, 1, None)
    (tmp_path / "list.csv").write_text(
        "url,label\nhttp://a.example/1,neutral\nhttp://a.example/1,porn\nhttp://a.example/1,\n"
        "http://a.example/2,http://evil.example/label\n,neutral\n"
    )
    found = inspect(tmp_path / "list.csv")
    assert found["classes"] == {"neutral": 2, "not a class name": 1, "porn": 1, "unlabelled": 1}
    assert (found["lines"], found["conflicts"], found["malformed"], found["unique"]) == (5, 1, 1, 3)
    assert "evil" not in json.dumps(found)


def test_nothing_to_inspect_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UsageError):
            inspect(path)


@pytest.mark.soak
def test_three_million_lines(tmp_path: Path) -> None:
    for label in ("drawings", "neutral", "sexy"):
        path = tmp_path / "raw_data" / label / f"urls_{label}.txt"
        path.parent.mkdir(parents=True)
        with path.open("w") as file:
            file.writelines(f"https://h{n % 4000}.example/albums/{label}/{n}.jpg\n" for n in range(1_000_000))
    found = inspect(tmp_path)
    assert (found["lines"], found["unique"]) == (3_000_000, 3_000_000)
