"""`project.samples()` reads columns; what it says is what the plain way says, on workspaces of every kind of row."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from curate.config import Config
from curate.errors import UsageError
from curate.label import final
from curate.label.table import Taught, Weak, write
from curate.report import samples as reading
from curate.report.samples import COLUMNS, samples
from curate.store import columns
from curate.store.workspace import Workspace
from tests.support import plain_samples
from tests.support.builders import decide

TEXTS = ("CC0", "it's", "a\x1fb", "\x1e", "", "=1+1", "ünï\u202e", "a\nb", "\x1f", "\0x")
CLASSES = ("drawings", "hentai", "neutral", "porn", "sexy")
ASKED = {
    "width > 60": "WHERE s.width > 60",
    "split == 'train' and frames <= 2": "WHERE m.split = 'train' AND s.frames <= 2",
    "license != 'CC0'": "WHERE n.license IS NOT 'CC0'",  # also where there is none, as pandas has it
    "split != 'train' and at_ms != 3": "WHERE m.split IS NOT 'train' AND s.at_ms IS NOT 3",
    "frames != 2": "WHERE s.frames <> 2",
    "source == 'commons' and url > 'u5' and width > 20": "WHERE o.plugin = 'commons' AND url > 'u5' AND s.width > 20",
    "attribution == 'it\\'s'": "WHERE n.attribution = 'it''s'",
    "ref < '3' and width == 50": "WHERE n.ref < '3' AND s.width = 50",
    "at_ms >= 1": "WHERE s.at_ms >= 1",
    "group == '{0}'": "WHERE m.grp = '{0}'",
}


def made(root: Path, seed: int, n: int = 40) -> Workspace:
    """A workspace of `n` samples with everything that may become of one."""
    root.mkdir(parents=True, exist_ok=True)
    ws, chance = Workspace(root, Config()), np.random.default_rng(seed)
    ids = [chance.bytes(32).hex() for _ in range(n)]

    def some(most: int) -> list[str]:
        return [str(one) for one in chance.choice(ids, chance.integers(0, most), replace=False)]

    with ws.catalog.tx() as db:
        db.executemany("INSERT INTO sources (source, plugin, options) VALUES (?, ?, '{}')",
                       [("commons:a", "commons"), ("urllist:b", "urllist")])  # fmt: skip
        for one in ids:
            video = chance.random() < 0.2
            row = (one, "", "", *(int(x) for x in chance.integers(1, 100, 3)), int(chance.integers(1, 4)),
                   ids[0] if video else None, int(chance.integers(0, 9)) if video else None)  # fmt: skip
            db.execute("INSERT INTO samples (id, sha1, md5, media_type, bytes, width, height, frames, parent, at_ms)"
                       " VALUES (?, ?, ?, 'image/png', ?, ?, ?, ?, ?, ?)", row)  # fmt: skip
        for one in ids[: int(chance.integers(0, n + 1))]:
            best = str(chance.choice(ids[:8])) if chance.random() < 0.5 else one
            row = (one, best, "a set" if chance.random() < 0.1 else best, best, str(chance.choice(["train", "test"])))
            db.execute("INSERT INTO members VALUES (?, ?, ?, ?, ?, NULL)", row)
        _origins(db, ids, chance)
        others: dict[str, list[tuple[Any, ...]]] = {
            "quarantine": [("sample", one, None, "why", "") for one in some(4)] + [("album", "a1", None, "why", "")],
            "withheld": [(one, "placeholder", "", "", None) for one in some(3)],
            "removing": [(one, None) for one in some(3)],
            "disputed": [("content", one) for one in some(8)],
            "tombstones": [("sha256", ws.catalog.digest("sha256", one), "", None, "") for one in some(3)],
        }
        for table, rows in others.items():
            for row in rows:
                db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    _people(ws, ids, chance)
    _weak(ws, ids, chance)
    return ws


def _origins(db: Any, ids: list[str], chance: np.random.Generator) -> None:
    for n in range(int(chance.integers(1, 2 * len(ids)))):
        sample = str(chance.choice(ids)) if chance.random() < 0.8 else None
        db.execute("INSERT INTO candidates (candidate, kind, locator, sample) VALUES (?, 'url', ?, ?)",
                   (2 * n + 1, f"u{n}{chance.choice(TEXTS)}", sample))  # fmt: skip
        for m in range(int(chance.integers(0, 3))):
            source, ref = str(chance.choice(["commons:a", "urllist:b"])), f"{chance.choice(TEXTS)}{m}"
            said = [str(chance.choice(TEXTS)) if chance.random() < 0.7 else None for _ in range(2)]
            album = "a1" if chance.random() < 0.05 else None
            db.execute("INSERT INTO mentions (candidate, source, ref, license, attribution, album)"
                       " VALUES (?, ?, ?, ?, ?, ?)", (2 * n + 1, source, ref, *said, album))  # fmt: skip
            if chance.random() < 0.5:
                label = str(chance.choice([*CLASSES, "neutral", "neutral", "neutral", "gone"]))
                db.execute("INSERT INTO declared VALUES (?, ?, ?, 'content', ?)", (2 * n + 1, source, ref, label))


def _people(ws: Workspace, ids: list[str], chance: np.random.Generator) -> None:
    for _ in range(int(chance.integers(0, 20))):
        sample = str(chance.choice([*ids[:12], "f" * 64]))  # of one that is no more, too
        decide(ws, sample, str(chance.choice([*CLASSES, "unsure"])), str(chance.choice(["ann", "bob", "eve"])))
    with ws.catalog.tx() as db:
        last = db.execute("SELECT decision, sample, label FROM decisions ORDER BY decision DESC LIMIT 1").fetchone()
        if last is not None and chance.random() < 0.5:
            db.execute("INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown, undoes)"
                       " VALUES (?, 'content', '1', 'ann', ?, 'later', 'blind', ?)",
                       (last["sample"], last["label"], last["decision"]))  # fmt: skip
        for n, one in enumerate(chance.choice(ids[:12], chance.integers(0, 4), replace=False).tolist()):
            row = (one, str(chance.choice([*CLASSES, "unsure"])), f"at {n}")
            db.execute("INSERT INTO precedents (sample, axis, taxonomy, label, reviewer, reason, decided_at)"
                       " VALUES (?, 'content', '1', ?, 'zoe', 'why', ?)", row)  # fmt: skip


def _weak(ws: Workspace, ids: list[str], chance: np.random.Generator) -> None:
    """Of most samples, and of some that are no more; some kept back, some by functions that only advise."""
    if chance.random() < 0.15:
        return
    names = sorted({one for one in ids if chance.random() < 0.9} | {"e" * 64})
    p = (chance.integers(0, 20001, len(names)) / 20000).round(6)  # every second one ends in a half
    each = np.full((len(names), len(CLASSES)), np.nan)
    places = chance.integers(-1, len(CLASSES), len(names))
    for row, place in enumerate(places.tolist()):
        if place >= 0:
            each[row], each[row, place] = 0.1, p[row]
    votes = chance.choice([-2, -1, -1, -1, 0, 2, 2, 3], (len(names), 3), p=[0.02, *[0.14] * 7]).astype(np.int8)
    found = [CLASSES[place] if place >= 0 else None for place in places.tolist()]
    report: dict[str, Any] = {"advise": {"b": {}}} if chance.random() < 0.5 else {}
    sets = [[name] for name in CLASSES]
    decided = np.array([label is not None for label in found]) & (chance.random(len(names)) < 0.3)
    taught = Taught(np.full(each.shape, np.nan), decided, decided, [None] * len(names))
    spared = (chance.random(votes.shape) < 0.5) & [False, "advise" in report, False]
    weak = Weak(names, found, each, votes, CLASSES, sets, ["a", "b", "c"], report, taught, spared=spared)
    write(ws, ws.config.taxonomy.first, weak)


def same(found: pd.DataFrame, expected: list[dict[str, Any]]) -> None:
    plain = [
        {name: None if value != value else value for name, value in row.items()} for row in found.to_dict("records")
    ]
    assert plain == expected


@pytest.mark.parametrize("seed", range(12))
def test_columns_say_what_the_plain_way_says(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ws = made(tmp_path, seed)
    monkeypatch.setattr(columns, "ROWS", (3, 16, 16384)[seed % 3])
    monkeypatch.setattr(reading, "FEW", (0, 20_000)[seed % 2])
    expected = plain_samples.rows(ws)
    found = samples(ws)
    assert list(found.columns) == list(COLUMNS)
    same(found, expected)
    for asked, sql in ASKED.items():
        same(samples(ws, asked.format(ws_id(ws))), plain_samples.rows(ws, sql.format(ws_id(ws))))
    for label in ("neutral", "porn"):
        some = samples(ws, f"label == '{label}' and width > 30", ["width", "label", "url"])
        kept = [row for row in expected if row["label"] == label and row["width"] > 30]
        same(some, [{name: row[name] for name in ("width", "label", "url")} for row in kept])
    known = final.labels(ws, ws.config.taxonomy.first)
    plain = plain_samples.labels(ws, ws.config.taxonomy.first)
    assert {k: (v.name, v.probability, v.source, v.human_n) for k, v in known.by_sample.items()} == plain[0]
    assert known.withheld == plain[1]
    ws.close()


def ws_id(ws: Workspace) -> str:
    return str(ws.catalog.scalar("SELECT coalesce(max(grp), '') FROM members"))


def test_kinds_do_not_depend_on_what_is_there(tmp_path: Path) -> None:
    """Of no rows, of rows without a member, an origin or a label, and of many."""
    kinds = [dict(samples(made(tmp_path / str(seed), seed, n)).dtypes) for seed, n in ((0, 12), (1, 20), (2, 60))]
    (tmp_path / "empty").mkdir()
    kinds.append(dict(samples(Workspace(tmp_path / "empty", Config())).dtypes))
    assert kinds[0] == kinds[1] == kinds[2] == kinds[3]


@pytest.mark.parametrize(
    "where",
    ["id.to_csv('x.csv')", "id.str.len().to_csv('x.csv')", "(width > 3).to_pickle('x')", "id.str.cat.to_csv('x.csv')",
     "id.str.contains(id.to_csv('x.csv'))", "id.isin(id.to_csv('x.csv'))", "open('x.csv', 'w')", "abs(width) > 3",
     "[one for one in id]", "id.values", "id.str", "id[0] == 'a'", "(lambda: 1)()", "width ** 9 > 1", "9 ** 9 ** 9 > 1",
     "id == 'a' * 1000000000", "'%1000000000d' % 5 == id", "f'{id}' == 'a'", "id is None", "1", "True", "'a'", "[1]",
     "1 == 1", "frames", "width", "", "id.isin(*[1])", "id.isin(**{'values': [1]})", "b'a' == id", "1j == width",
     "(a := 1) == width", "width > 1 if True else 2", "@x == id", "(" * 300 + "width > 1" + ")" * 300,
     "-" * 200 + "1 < width", "not " * 200 + "width > 1", "width > 1 or " * 2000 + "width > 2",
     "+1" * 3000 + " < width", "1" * 5000 + " < width", "0x" + "f" * 9000 + " < width",
     1, b"width > 1", ["width > 1"], ("width > 1",), 1.5, True],
    ids=lambda where: repr(where)[:40],
)  # fmt: skip
def test_a_condition_does_nothing_but_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any) -> None:
    monkeypatch.chdir(tmp_path)
    ws = made(tmp_path, 3)
    with pytest.raises(UsageError, match="samples: where"):
        samples(ws, where)
    assert not (tmp_path / "x.csv").exists()
    ws.close()


@pytest.mark.parametrize(
    "where",
    ["label.isna()", "label.isin(['porn', 'neutral'])", "label in ['porn', 'neutral']", "not label.notna()",
     "id.str.contains('a', case=False) or width / 2 + 1 > 40", "~id.str.startswith('a') & (width > height)",
     "id.str.lower().str.len() == 64", "64 <= width < 300 and label == 'neutral'", "width.between(1, 100)",
     "-width > -100", "id != 'a' + 'b'", "label == 'porn' or label == 'neutral' and width > 30",
     "not (url == 'u5') and url == url", "license != 'CC0' or license == 'CC0'",
     "width > 20 & height < 200", "width > 20 and height < 60 | height > 90",
     "label == 'porn' | width > 50 & height > 9",
     "label == 'a&b|c' | width > 30", "width == [33, 34] or label == ['porn']", "width.isin([33, 34.0])"],
)  # fmt: skip
def test_a_condition_may_ask_these(tmp_path: Path, where: str) -> None:
    ws = made(tmp_path, 3)
    every = samples(ws)
    pd.testing.assert_frame_equal(samples(ws, where), every.query(where, engine="python").reset_index(drop=True))
    ws.close()


@pytest.mark.parametrize(
    ("where", "why"),
    [("width in ['33']", "width is a number, not '33'"), ("width.isin(['33'])", "width is a number, not '33'"),
     ("label in [1]", "label is text, not 1"), ("label == width", "label is text, not a number as width is"),
     ("width > 3 and probability == label", "not text as label is"), ("label.str.len() == '4'", "not '4'"),
     ("width in height", "asks for a list of values"), ("label in 'porn'", "asks for a list"),
     ("width > [1, 2]", "compared by `in` alone"), ("[1] == width", "to the right"),
     ("width.between(1, 'b')", "not 'b'"),
     ("width | height > 1", "it is a number"), ("label & width > 1", "it is text"), ("label.isin([True])", "not True")],
)  # fmt: skip
def test_what_is_compared_is_of_one_kind(tmp_path: Path, where: str, why: str) -> None:
    """Where it is not, the answer would be no row, or every row, and say nothing."""
    ws = made(tmp_path, 3)
    with pytest.raises(UsageError, match="samples: where: ") as refused:
        samples(ws, where)
    assert why in str(refused.value)
    ws.close()


@pytest.mark.parametrize("pool", ["mimalloc", "system", "jemalloc"])
def test_the_memory_of_the_caller_is_his_own(tmp_path: Path, pool: str) -> None:
    """Also where a condition cannot be asked, and where several ask at a time."""
    if pool not in pa.supported_memory_backends():
        pytest.skip(f"this Arrow has no {pool}")
    ws, before = made(tmp_path, 3), pa.default_memory_pool()
    pa.set_memory_pool(getattr(pa, f"{pool}_memory_pool")())
    try:
        with ThreadPoolExecutor(4) as threads:
            asked = [threads.submit(samples, ws, where) for where in (None, "width > 2", "id.str.contains('(')") * 4]
        assert sum(one.exception() is not None for one in asked) == 4
        assert pa.default_memory_pool().backend_name == pool
    finally:
        pa.set_memory_pool(before)
    ws.close()


def test_what_cannot_be_asked_is_a_usage_error(tmp_path: Path) -> None:
    ws = made(tmp_path, 0)
    for where in ("label == '\ud800'", "label == '\\ud800'", "width >", "nothing == 3", "label + 1"):
        with pytest.raises(UsageError, match="samples: "):
            samples(ws, where)
    assert samples(ws, "width < 1e999").equals(samples(ws))
    assert samples(ws, "width > 99999999999999999999").empty
    assert list(samples(ws, columns=["split", "id", "split"]).columns) == ["split", "id", "split"]


def test_probabilities_are_rounded_as_python_rounds() -> None:
    values = [n / 10**6 for n in range(0, 10**6, 7)] + [n / 20000 for n in range(20001)]
    assert final._rounded(np.array(values)).tolist() == [round(one, 4) for one in values]


def test_what_is_taken_down_meanwhile_has_no_label_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels are read after ids, where few are asked for; another process may have taken one out by then."""
    ws = made(tmp_path, 3)
    before, labels = samples(ws, "width > 0", ["id", "label"]), final.columns
    gone = before["id"][before["label"].notna()].iloc[0]

    def without(*given: Any) -> final.Columns:
        found = labels(*given)
        row, names = found.ids.to_pylist().index(gone), ("place", "probability", "withheld", "by_model", "weight")
        left: dict[str, Any] = {name: np.delete(getattr(found, name), row) for name in names}
        human = {n - (n > row): one for n, one in found.human.items() if n != row}
        mask = pa.array([one != gone for one in found.ids.to_pylist()])
        return dataclasses.replace(found, ids=found.ids.filter(mask), human=human, **left)

    monkeypatch.setattr(final, "columns", without)
    before.loc[before["id"] == gone, "label"] = None
    pd.testing.assert_frame_equal(samples(ws, "width > 0", ["id", "label"]), before)
    ws.close()


def test_a_digest_of_many_is_the_digest_of_one(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    catalog = Workspace(tmp_path / "w", Config()).catalog
    digest = catalog.digester("sha256")
    assert [digest(one) for one in ("", "a", "ü" * 99)] == [
        catalog.digest("sha256", one) for one in ("", "a", "ü" * 99)
    ]
