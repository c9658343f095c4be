"""On which terms a list is matched: a radius of its own, a date that can be; what its owner is told of a mistake."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.admin import configured
from curate.config import load as load_config
from curate.errors import UsageError
from curate.media.pdq import Pdq
from curate.options import Plugin
from curate.plugins import make
from curate.records import CorruptRow, Digests, ListedHash, SkippedRow
from curate.screening.entries import Entries, Names
from curate.screening.entry import aside, find, report
from curate.screening.gate import Gate, load
from curate.screening.listed import Terms
from curate.screening.lists.lines import Lines
from curate.screening.lists.ncmec import NAMESPACE, Ncmec
from tests.fetch.test_fetch import curate
from tests.screening.test_lists import FILES, LISTS, READERS, digest, pdq, read
from tests.support.screened import configure, opened

ANY = Digests("0" * 64, "0" * 40, "0" * 32)
DISPUTES = Path(__file__).resolve().parents[1] / "support" / "disputes"


# -- a radius a list -------------------------------------------------------------------------------------------------


def flipped(value: bytes, bits: int, seed: int) -> bytes:
    mask = np.zeros(256, dtype=np.uint8)
    mask[np.random.default_rng(seed).permutation(256)[:bits]] = 1
    return (np.frombuffer(value, np.uint8) ^ np.packbits(mask)).tobytes()


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), min_size=1, max_size=8),
    radii=st.tuples(*[st.integers(0, 31)] * 3),
)
def test_each_lists_own_radius_decides(
    rows: list[tuple[int, int]], radii: tuple[int, int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Against brute force: the nearest entry within its own list's radius, whatever nearer ones are out of theirs."""
    query, folder, entries = bytes.fromhex(pdq(1)), tmp_path_factory.mktemp("lists"), Entries()
    apart = {n: [bits for owner, bits in rows if owner == n] for n in range(3)}
    for n, some in apart.items():
        if some:
            path = folder / f"{n}.txt"
            path.write_text("\n".join(flipped(query, bits, bits).hex() for bits in some))
            entries.add(f"lines:{n}", Lines(path, algorithm="pdq"), Terms(radii[n]))
    entries.build()
    hashes = np.frombuffer(query * 2, np.uint8).reshape(1, 2, 32)
    wanted = min((bits for owner, bits in rows if bits <= radii[owner]), default=None)
    match = entries.near(hashes).get(0)
    assert (match.distance if match else None) == wanted
    assert match is None or match.distance in apart[int(match.list[-1])]


def test_a_nearer_entry_of_a_narrow_list_hides_nothing(tmp_path: Path) -> None:
    query = bytes.fromhex(pdq(1))
    (tmp_path / "narrow.txt").write_text(flipped(query, 12, 1).hex())
    (tmp_path / "wide.txt").write_text(flipped(query, 30, 2).hex())
    pairs = [(name, Lines(tmp_path / f"{name}.txt", algorithm="pdq")) for name in ("narrow", "wide")]
    picture = [[Pdq("main", query * 8, 90)]]

    def found(narrow: int, wide: int) -> str | None:
        gate = load(pairs, True, None, 1, terms={"narrow": Terms(narrow), "wide": Terms(wide)})
        match = gate.screen([ANY], picture)[0].match
        return match.list if match else None

    assert [found(10, 31), found(12, 31), found(11, 29), found(0, 30)] == ["wide", "narrow", None, "wide"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("radius = 32", "radius must lie between 0 and 31"),
        ("radius = -1", "radius must lie between 0 and 31"),
        ('radius = "31"', "not a whole number"),
        ("negative = 1", "not true or false"),
    ],
)
def test_terms_that_are_none(tmp_path: Path, line: str, why: str) -> None:
    configure(tmp_path, lists=f'[[screening.lists]]\nuse = "lines"\npath = "list.txt"\n{line}\n')
    with pytest.raises(UsageError, match=why):
        configured.lists(load_config(tmp_path))


def test_the_radius_is_said(tmp_path: Path) -> None:
    configure(tmp_path, lists='[[screening.lists]]\nuse = "lines"\npath = "list.txt"\nradius = 16\n')
    (tmp_path / "list.txt").write_text(pdq(1))
    assert curate(tmp_path, "screening", "status")["lists"][0]["radius"] == 16


@given(st.lists(st.text(max_size=4), max_size=12), st.text(max_size=2))
def test_names_are_found(texts: list[str], wanted: str) -> None:
    names = Names()
    names.extend(texts[:3])
    names.extend(texts[3:])
    assert list(names.find(wanted)) == [n for n, one in enumerate(texts) if one == wanted and wanted]


# -- dates -----------------------------------------------------------------------------------------------------------


def stamped(folder: Path, at: datetime, use: str) -> Gate:
    """A list that says itself that it is of this time."""
    text, seconds = at.strftime("%Y-%m-%dT%H:%M:%SZ"), int(at.timestamp())
    entry = f"<member id='1'/><timestamp>2020-01-01T00:00:00Z</timestamp><id>a</id><fingerprints><md5>{'0' * 32}</md5>"
    content = {
        "ncmec": f"<r><images maxTimestamp='{text}'><image>{entry}</fingerprints></image></images></r>",
        "stopncii": f'[{{"signalType": "ImagePDQ", "hashValue": "{pdq(1)}", "lastModtimestamp": {seconds}}}]',
        "threatexchange": f'[{{"id": "1", "type": "HASH_PDQ", "indicator": "{pdq(1)}", "last_updated": {seconds},'
        ' "descriptors": {}}]',
        "lines": pdq(1),
    }[use]
    path = folder / use
    path.write_text(content)
    if use == "lines":
        os.utime(path, (seconds, seconds))
    reader = make("curate.screening.lists", Plugin(use, {"path": str(path)}, "screening.lists"), "hash list")
    return load([(use, reader)], True, 30, 1)


@pytest.mark.parametrize("use", ["lines", "ncmec", "stopncii", "threatexchange"])
def test_a_list_from_the_future_is_not_healthy(tmp_path: Path, use: str) -> None:
    """A date that is wrong says nothing of a list's age; clocks may differ by less than an hour."""
    now = datetime.now(UTC)
    for hours, healthy in ((0, True), (0.9, True), (1.1, False), (24 * 365, False)):
        gate = stamped(tmp_path, now + timedelta(hours=hours), use)
        assert gate.healthy == healthy, (hours, gate.problems)
        assert healthy or "in the future" in gate.problems[0]


def test_a_file_that_was_dated_forward_fetches_nothing(tmp_path: Path) -> None:
    configure(tmp_path, "max_age_days = 1")
    (tmp_path / "list.txt").write_text(pdq(1))
    os.utime(tmp_path / "list.txt", (time.time() + 10**6,) * 2)
    (tmp_path / "images" / "neutral").mkdir(parents=True)
    assert "in the future" in curate(tmp_path, "fetch", ok=(4,))["error"]


# -- kinds that are new ----------------------------------------------------------------------------------------------

NEWER = """<queryResult xmlns="https://hashsharing-test.ncmec.org/exploitative/v2">
<exploitativeImages count="2" maxTimestamp="2024-01-01T00:00:00Z">
<exploitativeImage><member id="7">X</member><timestamp>2024-01-01T00:00:00Z</timestamp><id>a</id>
 <classification>Exploitative</classification><fingerprints><pdq>{pdq}</pdq><md5>{md5}</md5></fingerprints></exploitativeImage>
<test_image><member id="7">X</member><id>b</id><fingerprints><test_sha1>{sha1}</test_sha1></fingerprints></test_image>
<generativeAiImage><member id="7">X</member><id>c</id><classification>Generative_AI</classification>
 <fingerprints><a_new_hash>{new}</a_new_hash><pdna>AAAA</pdna></fingerprints></generativeAiImage>
<image><member id="7">X</member><timestamp>2023-01-01T00:00:00Z</timestamp><id>d</id>
 <fingerprints><md5>{gone}</md5></fingerprints></image>
<test_deletedImage><member id="7">X</member><timestamp>2024-01-01T00:00:00Z</timestamp><id>d</id></test_deletedImage>
<somethingElse><member id="7">X</member><fingerprints><md5>{md5}</md5></fingerprints></somethingElse>
</exploitativeImages></queryResult>"""


def test_newer_kinds_and_test_environments_of_ncmec(tmp_path: Path) -> None:
    """Whatever an entry is called it is read, and what nobody knows of it keeps it."""
    values = {"md5": digest("md5", 1), "sha1": digest("sha1", 2), "new": digest("md5", 3), "gone": digest("md5", 4)}
    (tmp_path / "page.xml").write_text(NEWER.format(pdq=pdq(1), **values))
    rows = read("ncmec", tmp_path / "page.xml")
    hashes = {(row.entry, row.algorithm, row.value) for row in rows if isinstance(row, ListedHash)}
    assert hashes == {
        ("7-a", "pdq", pdq(1)), ("7-a", "md5", values["md5"]), ("7-b", "sha1", values["sha1"]),
        ("7-c", "md5", values["new"]),
    }  # fmt: skip
    assert [row.entry for row in rows if isinstance(row, CorruptRow)] == ["page.xml[6]"]
    assert {(row.entry, row.kind) for row in rows if isinstance(row, SkippedRow)} == {
        ("7-c", "pdna"),
        ("7-d", "deleted"),
    }


# -- what the owner is told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use", READERS)
def test_disputes_are_in_the_owners_format(use: str) -> None:
    """Golden files, of a hash that each list has."""
    path = LISTS / FILES.get(use, use)
    reader = make("curate.screening.lists", Plugin(use, {"path": str(path)}, "screening.lists"), "hash list")
    rows = [row for row in reader.rows() if isinstance(row, ListedHash) and row.value == pdq(0)]
    said = reader.dispute(rows, "a logo --- matched\n1 % of <harmless> pictures")
    assert said == (DISPUTES / use).read_text()


@pytest.mark.parametrize("use", ["ncmec", "stopncii", "threatexchange"])
def test_what_is_disputed_is_read_by_those_who_get_it(use: str) -> None:
    from defusedxml.ElementTree import fromstring

    text = (DISPUTES / use).read_text()
    if use == "ncmec":
        assert [one.tag.rpartition("}")[2] for one in fromstring(text.encode())] == ["negative"]
    else:
        found = json.loads(text)
        assert pdq(0) in json.dumps(found)


def test_a_report_needs_the_entry_to_be_set_aside(tmp_path: Path) -> None:
    table = '[[screening.lists]]\nuse = "{}"\npath = "{}"\n'
    configure(tmp_path, lists=table.format("lines", "a.txt") + table.format("tx_csv", "b.csv"))
    (tmp_path / "a.txt").write_text(pdq(1))
    (tmp_path / "b.csv").write_text(
        f"signal_type,signal_str,collab,category,tags\nPDQ,{pdq(1).upper()},x,POSITIVE_CLASS,t u\n"
    )
    ws = opened(tmp_path)

    def known() -> object:
        return find(ws.catalog, configured.lists(ws.config), pdq(1))

    with pytest.raises(UsageError, match="set the hash aside first"):
        report(ws.catalog, known(), ["lines:1"], tmp_path / "out")  # type: ignore[arg-type]
    aside(ws.catalog, known(), ["tx_csv:2"], "ann", "a logo")  # type: ignore[arg-type]
    for names, why in ((["lines:1"], "set the hash aside first"), (["lines:1", "tx_csv:2"], "one list's owner")):
        with pytest.raises(UsageError, match=why):
            report(ws.catalog, known(), names, tmp_path / "out")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
    ws.close()
    said = curate(tmp_path, "screening", "entry", pdq(1), "--list", "tx_csv:2", "--report", str(tmp_path / "out"))
    assert said["report"] == str(tmp_path / "out")
    head = "signal_type,signal_str,collab,category,tags\n"
    assert (tmp_path / "out").read_text() == f"{head}PDQ,{pdq(1).upper()},x,DISPUTED,t u\n"
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
    again = curate(
        tmp_path, "screening", "entry", pdq(1), "--list", "tx_csv:2", "--report", str(tmp_path / "out"), ok=(2,)
    )
    assert "there already" in again["error"]


def test_a_reason_that_ncmec_knows_is_given_by_its_guid(tmp_path: Path) -> None:
    from defusedxml.ElementTree import fromstring

    row = ListedHash("pdq", "0f" * 32, "42-image1")
    for guid, said in (("0b1d4b5e-8f0c-4a21-9c7e-0d6a3c1f2e44", True), ("", False), ("a<b", True)):
        read = fromstring(Ncmec(tmp_path, reason_guid=guid).dispute([row], "a logo").encode())
        found = [one.text for one in read.iter(f"{{{NAMESPACE}}}guid")]
        assert found == [guid] * said
        assert len(list(read.iter(f"{{{NAMESPACE}}}negative"))) == 1
