"""What lets a reader in (signatures, tokens, credentials in URLs) is in nothing that is printed or exported."""

from pathlib import Path

import pyarrow.parquet as pq

from tests.fetch.test_fetch import workspace
from tests.support.calling_here import command
from tests.support.pictures import encode, texture
from tests.support.web import Answer, serving

SECRET = "5ecret0123456789abcdef"
QUERIES = (
    f"X-Amz-Signature={SECRET}", f"token={SECRET}", f"w=5&sig={SECRET}", f"s={SECRET}", f"Key-Pair-Id={SECRET}",
    f"next=http%3A%2F%2Fa.example%2F%3Faccess_token%3D{SECRET}",
)  # fmt: skip


def text_of(path: Path) -> str:
    """What a file says; Parquet is compressed, so its rows are read."""
    if path.suffix == ".parquet":
        return str(pq.read_table(path).to_pylist())
    return path.read_bytes().decode("latin-1")


def test_nothing_printed_or_exported_lets_anybody_in(tmp_path: Path) -> None:
    answers: dict[str, Answer] = {
        f"/{n}.png": (200, {"Content-Type": "image/png"}, encode(texture(n), "PNG")) for n in range(len(QUERIES) * 2)
    }
    answers["/moved.png"] = (302, {"Location": f"/0.png?sig={SECRET}"}, b"")
    with serving(answers) as site:
        labels = ("neutral", "drawings")
        lists = {
            label: [site.url(f"/{2 * n + k}.png?{query}") for n, query in enumerate(QUERIES)]
            for k, label in enumerate(labels)
        }
        lists["neutral"] += [f"http://user:{SECRET}@{site.origin}/1.png", f"/absent.png?token={SECRET}", "/moved.png"]
        root = workspace(tmp_path, site, lists)
        said = ""
        for args in (
            ["fetch", "--plan"], ["run", "1.0.0"], ["report"], ["status", "--since", "1h"], ["log"],
            ["decisions", "export", str(root / "decisions.csv")], ["share", "1.0.0", "--to", "Ada"],
            ["takedown", lists["neutral"][0], "--reason", "asked for"], ["verify"],
        ):  # fmt: skip
            code, out, err = command(root, *args, "-v")
            assert code == 0, err
            assert out + err, args
            said += out + err
    assert SECRET not in said
    assert "http_404" in said, "what failed was told"
    catalog = {root / "work" / f"catalog.db{suffix}" for suffix in ("", "-wal", "-shm")}
    holding = {path for path in root.rglob("*") if path.is_file() and SECRET in text_of(path)}
    lists_themselves = {path for path in holding if path.suffix == ".txt" and "raw_data" in path.parts}
    assert holding - lists_themselves <= catalog
    assert holding & catalog, "the catalog keeps the URL whole, or nothing could be asked for again"
