"""What people read: plain words, the setting beside a failure, the next command; what scripts read stays as it was."""

from pathlib import Path

import pytest

from curate.commands.wording import WORDS
from curate.fetch.reasons import KEYS, settings
from curate.progress import Progress
from tests.support.calling import Command
from tests.support.pictures import encode, texture

CONFIG = """
[engine]
use = "serial"
[screening]
required = false
[fetch]
{fetch}
[[sources]]
use = "local"
path = "images"
label_from = "folder"
[[labelers]]
use = "declared"
"""


@pytest.fixture
def curate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    for n in range(8):
        path = tmp_path / "images" / ("neutral" if n % 2 else "drawings") / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(texture(n, (64, 64)), "PNG"))
    (tmp_path / "curate.toml").write_text(CONFIG.format(fetch=""))
    return Command(tmp_path, monkeypatch, capfd)


def said(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_failure_names_the_setting_that_decides_it(curate: Command) -> None:
    (curate.root / "curate.toml").write_text(CONFIG.format(fetch="min_side = 65"))
    assert "too_small 8 ([fetch] min_side)" in said(curate("fetch", code=3).out)
    assert "too_small 8 ([fetch] min_side)" in said(curate("status").out)
    assert curate("status", "--json").json["failed"] == {"too_small": 8}
    assert settings("too_slow") == "[fetch] timeout or [fetch] min_rate or [engine] item_seconds"
    assert settings("http_404") == settings("no such reason") == ""
    assert all(map(settings, KEYS))


def test_what_comes_next_is_named_by_what_is_missing(curate: Command) -> None:
    for verb in (("fetch",), ("dedupe",), ("label",), ("export", "1.0.0")):
        following = f"next `curate {' '.join(verb)}`"
        assert following in said(curate("status").out)
        if verb[0] == "export":
            assert following in said(curate("label").out)
        curate(*verb)
    assert not any(line.startswith("next ") for line in said(curate("status").out))
    assert "next" not in curate("status", "--json").json


def test_names_that_only_scripts_know_are_printed_in_words(curate: Command) -> None:
    for made in ("fetch", "dedupe", "label"):
        curate(made)
    for verb, names in (
        (("status",), {"contested", "same_bytes", "unacknowledged"}),
        (("label",), {"contradicted", "overruled", "vanished", "gold", "unscored"}),
        (("dedupe",), {"contested", "chained", "held_out_upright", "void", "unhashed"}),
        (("review", "--stats"), {"precedents"}),
    ):
        printed = {line.split("  ")[0].rstrip(":").strip() for line in curate(*verb).out.splitlines()}
        assert not printed & names
        assert printed >= {WORDS[name] for name in names}
        assert curate(*verb, "--json").json.keys() >= names
    assert max(map(len, WORDS.values())) < 26, "or the figures behind them are not below each other"


def test_a_stage_is_said_once_where_it_was_said_just_now(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 100, 6))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with Progress().stage("train", 2) as step:
        step()
        step()
    assert capfd.readouterr().err == "train: 1 of 2\ntrain: 2 of 2\n"
