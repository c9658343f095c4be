"""hydrate takes no release that is strange, edited or damaged; words that are no text are one line."""

import contextlib
import hashlib
import io
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import curate
from curate.project import Project
from tests.support.calling_here import command
from tests.support.handed_on import N, Ours


def test_strange_releases_are_refused(ours: Ours, partner: Project, tmp_path: Path) -> None:
    with pytest.raises(curate.UsageError, match=r"no release\.json"):
        partner.hydrate(tmp_path)
    urls = ours.exports / "1.0.0/urls"
    header = json.loads((urls / "release.json").read_text())
    odd = [{"files": {}}, {"version": "\x1b[2J"}, {"version": None}, {"removals": []}, {"removals": "\ud800"}]
    odd += [{"without_url": {"train": {"neutral": "x"}}}, {"without_url": []}]
    for change, says in (({"schema": 9}, "newer curate"), *((one, "not the header") for one in odd)):
        (urls / "release.json").write_text(json.dumps(header | change))
        with pytest.raises(curate.StoreError, match=says):
            partner.hydrate(urls)
    for named in ("http://[", "https://example.org/[", "ftp://x/y"):
        (urls / "release.json").write_text(json.dumps(header | {"removals": named}))
        with pytest.raises(curate.UsageError, match="nothing of it is signed"):
            partner.hydrate(urls)
        with pytest.raises(curate.UsageError, match="of this address"):
            partner.hydrate(named)
    with pytest.raises(curate.UsageError, match=r"port_denied: port 9 \(see \[fetch\] allow_ports or"):
        partner.hydrate("https://example.org:9/urls")


def edited(folder: Path, name: str, values: pa.Array) -> None:
    """Give the rows of train other values in a column, as somebody would who knows the digests."""
    table = pq.read_table(folder / "train.parquet")
    pq.write_table(table.set_column(table.column_names.index(name), name, values), folder / "train.parquet")
    header = json.loads((folder / "release.json").read_text())
    header["files"]["train.parquet"] = hashlib.sha256((folder / "train.parquet").read_bytes()).hexdigest()
    (folder / "release.json").write_text(json.dumps(header))


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("url", pa.array([5]), "column url holds no text"),
        ("license", pa.array([["a"]]), "column license holds no text"),
        ("upstream_system", pa.array([{"a": 1}]), "column upstream_system holds no text"),
        ("sha256", pa.array([b"x"]), "column sha256 holds no text"),
        ("attribution", pa.array([b"\xff\xfe"]).view(pa.string()), "train.parquet: cannot be read .*UTF8"),
        ("sha256", pa.array(["a" * 64]), "rows are of an item that has another"),
    ],
)
def test_rows_that_somebody_edited_are_refused(
    ours: Ours, partner: Project, name: str, values: pa.Array, says: str
) -> None:
    urls = ours.exports / "1.0.0/urls"
    n = pq.read_table(urls / "train.parquet").num_rows
    edited(urls, name, pa.concat_arrays([values] * n))
    with pytest.raises(curate.CurateError, match=says):
        partner.hydrate(urls)


def test_files_that_are_no_rows_are_refused(ours: Ours, partner: Project) -> None:
    """Whatever pyarrow calls it: flipped bits, the end missing, and rows beyond number in a few bytes."""
    urls = ours.exports / "1.0.0/urls"
    good, header = (urls / "train.parquet").read_bytes(), json.loads((urls / "release.json").read_text())
    many = io.BytesIO()
    zeros = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2_000_000, np.int32)), pa.array(["a" * 64]))
    pq.write_table(pa.table({"sha256": zeros}), many, compression="zstd")
    rng = random.Random(5)
    flipped = [
        bytes(b ^ (255 if n == at else 0) for n, b in enumerate(good)) for at in rng.sample(range(len(good)), 20)
    ]
    for odd in (b"", good[:-20], b"PAR1" + bytes(100) + b"PAR1", many.getvalue(), *flipped):
        (urls / "train.parquet").write_bytes(odd)
        header["files"]["train.parquet"] = hashlib.sha256(odd).hexdigest()
        (urls / "release.json").write_text(json.dumps(header))
        with contextlib.suppress(curate.StoreError, curate.UsageError):
            curate.load_release(urls)
            assert odd in flipped, "only what is damaged in a text may be read"


def test_who_an_item_is_upstream_may_be_anything(ours: Ours, partner: Project) -> None:
    folder = ours.exports / "1.0.0/parquet"
    odd = ["[" * 5000, '{"system": 5}', '{"system": "a", "page_id": []}', "[]", '{"system": "\\ud800"}']
    n = pq.read_table(folder / "train.parquet").num_rows
    edited(folder, "upstream", pa.array((odd * n)[:n]))
    assert partner.hydrate(folder)["recovered"] == N


NO_TEXT = "a\udcffb"  # bytes of a command line that are no UTF-8


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["share", "1.0.0", "--to", NO_TEXT], 2),
        (["share", "1.0.0", "--to", "\u200b"], 2),
        (["share", NO_TEXT, "--to", "Ann"], 2),
        (["hydrate", NO_TEXT], 2),
        (["hydrate", f"http://{NO_TEXT}"], 2),
        (["takedown", "0123456789", "--reason", NO_TEXT], 2),
        (["eval", "x.csv", NO_TEXT], 2),
        (["export", NO_TEXT, "--format", "csv"], 2),
        (["diff", NO_TEXT, "1.0.0"], 2),
    ],
)
def test_words_of_the_command_line_that_are_no_text_are_a_line(made: Ours, words: list[str], code: int) -> None:
    found, _, said = command(made.root, *words)
    assert found == code
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 2


def test_what_is_not_safe_here_needs_words_that_the_command_line_has(ours: Ours, partner: Project) -> None:
    path, urls = partner.session.root / "curate.toml", ours.exports / "1.0.0/urls"
    path.write_text(path.read_text() + '[[taxonomy.axes]]\nclasses = ["drawings", "neutral"]\nsafe = ["neutral"]\n')
    partner = curate.open(path.parent, quiet=True)
    with pytest.raises(curate.UsageError, match=r"--reason TEXT .* and --approved-by NAME .* \(drawings\)"):
        partner.hydrate(urls)
    with pytest.raises(curate.UsageError, match=r"hydrate: --approved-by NAME"):
        partner.hydrate(urls, reason="a study")
    with pytest.raises(curate.GateError, match="no list is loaded"):
        partner.hydrate(urls, reason="a study", approved_by="Ann")
