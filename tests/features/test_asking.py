"""Labelers that a server answers for: what is sent and what is not, what a bad server costs, and what is kept."""

import dataclasses
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.engine.pool import Pool
from curate.engine.serial import Serial
from curate.errors import CurateError, UsageError
from curate.features import asking
from curate.features.asking import _Making, _Pictures, at
from curate.features.score_worker import Scores, Task
from curate.features.scores import compute, read, unread
from curate.media.decode import Bounds
from curate.plugins import fingerprint_of, name_of
from curate.progress import Progress
from curate.records import Sample
from curate.store.shards import assign
from curate.store.workspace import Workspace
from labelers.policy import Policy
from tests.support.fakes.brightness import Brightness
from tests.support.net_server import Server, answer, closed_port, drip, head, in_turn, raw, redirect
from tests.support.pictures import clip, encode, texture
from tests.support.samples import sha256, workspace
from tests.support.vlm import PATH, Model, body, brightness, but_for, completion, honest, is_grey, says, sent, shown

QUIET = Progress(quiet=True)
MANY = [encode(texture(seed, (40, 30)), "PNG") for seed in range(40)]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried at once."""
    monkeypatch.setattr(asking, "BACKOFF", 0.001)


@pytest.fixture
def model() -> Iterator[Model]:
    with Model() as found:
        yield found


def ids(files: list[bytes]) -> list[str]:
    return sorted(map(sha256, files))


def parts(ws: Workspace, labeler: Any) -> dict[str, bytes]:
    folder = ws.table(name_of(labeler), fingerprint_of(labeler)).path
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


# -- what is sent ----------------------------------------------------------------------------------------------------


def test_each_question_is_asked_about_each_picture_once(tmp_path: Path, model: Model) -> None:
    files = [encode(texture(1, (700, 300)), comment=b"a secret", exif=_exif()), MANY[0], MANY[1]]
    ws, policy = workspace(tmp_path, files), model.policy(side=256)
    assert compute(ws, Pool(1), [Brightness(), policy], QUIET).failed == {}
    scores, told = read(ws, policy, ids(files)), {sha256(one): brightness(Image.open(_path(ws, one))) for one in files}
    assert scores["bright"].tolist() == pytest.approx([told[one] for one in ids(files)], abs=0.02)
    assert scores["dark"].tolist() == pytest.approx([1 - told[one] for one in ids(files)], abs=0.02)
    assert not np.isnan(read(ws, Brightness(), ids(files))["mean"]).any(), "the others are asked as ever"
    assert len(model.pictures) == 6
    assert [is_grey(shown(one)) for one in model.asked[:2]] == [True, True], "nothing is sent to what does not answer"
    before, asked = parts(ws, policy), len(model.asked)
    compute(ws, Serial(), [policy], QUIET)
    assert (parts(ws, policy), len(model.asked)) == (before, asked), "what is there is not asked again"


def test_pixels_leave_and_nothing_else(tmp_path: Path, model: Model) -> None:
    files = [encode(texture(1, (700, 300)), comment=b"a secret", exif=_exif())]
    ws = workspace(tmp_path, files)
    compute(ws, Serial(), [model.policy(side=256)], QUIET)
    for request in model.pictures:
        said = body(request)
        assert said.keys() == {"model", "messages", "max_tokens", "temperature", "logprobs", "top_logprobs"}
        assert (said["model"], said["max_tokens"], said["temperature"]) == ("fake", 1, 0)
        assert [one["type"] for one in said["messages"][0]["content"]] == ["text", "image_url", "text"]
        image = shown(request)
        assert (image.format, image.size) == ("JPEG", (512, 220)), "twice the side at most"
        assert image.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert b"secret" not in sent(request)
        assert b"Exif" not in sent(request)
        assert "authorization" not in request.headers
        assert "cookie" not in request.headers
        assert not any(one in json.dumps([*request.headers.values(), said]) for one in ids(files))


def test_what_is_held_is_not_sent(tmp_path: Path, model: Model) -> None:
    ws = workspace(tmp_path, MANY[:3])
    held = ids(MANY[:3])[1]
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'test', '')", (held,))
    policy = model.policy()
    compute(ws, Serial(), [policy], QUIET)
    assert len(model.pictures) == 4
    assert np.isnan(read(ws, policy, ids(MANY[:3]))["bright"]).tolist() == [False, True, False]


def test_of_an_animation_three_frames_are_asked_about(tmp_path: Path, model: Model) -> None:
    frames = [Image.new("RGB", (80, 60), (grey,) * 3) for grey in (10, 250, 60)]
    data = clip("GIF", frames, (80, 60))
    ws = workspace(tmp_path, [data])
    with ws.catalog.tx() as db:
        db.execute("UPDATE samples SET frames = 3")
    policy = model.policy(over_frames={"dark": "min"})
    compute(ws, Serial(), [policy], QUIET)
    found = read(ws, policy, [sha256(data)])
    assert len(model.pictures) == 6
    assert found["bright"][0] == pytest.approx(250 / 255, abs=0.02), "nothing hides behind a title"
    assert found["dark"][0] == pytest.approx(5 / 255, abs=0.02)


def test_a_worker_can_have_no_text_sent() -> None:
    """What a worker gives is base64 of JPEGs, or it is not believed."""
    work = _Making({"policy": _Pictures(512, True)}, None, Bounds())  # type: ignore[arg-type]
    task = Task(0, (_sample(),), ("policy",))
    for text, fits in (
        ("/9j/AAAA", True), ("/9j/AAAA /9j/BB==", True), (None, True), ("AAAA", False), ("", False),
        ("/9j/AAAA root:x:0:0", False), ("/9j/AAAA " * 4, False), ("/9j/" + "A" * 2**22, False),
    ):  # fmt: skip
        answer = Scores({"policy": {"sent": np.array([text], dtype=object)}})
        assert bool(work.fits(task, answer)) == fits, text


# -- where to --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "server", ["http://127.0.0.1:8000/v1", "http://localhost:1/v1", "http://[::1]:8000/v1", "https://127.9.9.9"]
)
def test_this_machine_needs_no_leave(server: str) -> None:
    assert at("policy", Policy("m", {"a": "?"}, "x", server=server))


@pytest.mark.parametrize(
    ("server", "allowed", "message"),
    [
        ("https://vlm.example.org/v1", None, r'vlm\.example\.org:443 is not this machine.*allow_host = "vlm\.example'),
        ("https://vlm.example.org:444/v1", "vlm.example.org:443", "vlm.example.org:444 is not this machine"),
        ("http://127.0.0.1.example.org:8000/v1", None, "not this machine"),
        ("http://192.168.1.7:8000/v1", None, "not this machine"),
        ("http://0.0.0.0:8000/v1", None, "not this machine"),
        ("http://192.168.1.7:8000/v1", "192.168.1.7:8000", "https, or pictures would travel in the clear"),
        ("http://me:pw@127.0.0.1:8000/v1", None, "credentials in it"),
        ("ftp://127.0.0.1/v1", None, "unsupported_scheme"),
        ("http://2130706433:8000/v1", None, "a number in place of a host"),
        ("127.0.0.1:8000", None, "malformed_url"),
        ("http://127.0.0.1:8000/v1?version=2", None, "no query, no fragment"),
    ],
)
def test_nowhere_else_without_its_name(server: str, allowed: str | None, message: str, tmp_path: Path) -> None:
    ws = workspace(tmp_path, MANY[:1])
    policy = Policy("m", {"a": "?"}, "x", server=server, allow_host=allowed)
    with pytest.raises(UsageError, match=rf"labelers\.policy\.server: .*{message}"):
        compute(ws, Serial(), [Brightness(), policy], QUIET)
    assert not parts(ws, Brightness()), "before anything is computed"


def test_a_host_that_is_named_is_said_aloud(tmp_path: Path, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    policy = model.policy(allow_host=model.server.at)
    compute(workspace(tmp_path, MANY[:2]), Serial(), [policy], Progress())
    assert f"policy: 2 pictures at most are sent to {model.server.at}" in capsys.readouterr().err


def test_a_host_that_is_named_may_be_asked() -> None:
    policy = Policy("m", {"a": "?"}, "x", server="https://vlm.example.org/v1", allow_host="vlm.example.org:443")
    assert at("policy", policy) == "vlm.example.org:443"


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    async with Server({PATH: answer()}) as other:
        with Model(redirect(other.url(PATH), 307)) as model:
            ws = workspace(tmp_path, MANY[:2])
            with pytest.raises(CurateError, match="too_many_redirects"):
                compute(ws, Serial(), [model.policy()], QUIET)
            assert other.requests == []
            assert len(model.asked) == 1


def test_the_key_is_a_variable_and_is_shown_nowhere(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ws, policy = workspace(tmp_path, MANY[:1]), model.policy(token_env="MY_KEY")
    with pytest.raises(UsageError, match=r"labelers\.policy\.token_env: the environment variable MY_KEY is not set"):
        compute(ws, Serial(), [Brightness(), policy], QUIET)
    assert not parts(ws, Brightness()), "it is said before the others are asked for hours"
    monkeypatch.setenv("MY_KEY", "sk-geheim\n1")
    with pytest.raises(UsageError, match="MY_KEY holds cannot be sent") as error:
        compute(ws, Serial(), [policy], QUIET)
    assert "geheim" not in str(error.value)
    assert model.asked == []
    monkeypatch.setenv("MY_KEY", "sk-geheim")
    model.does = answer(401)
    with pytest.raises(UsageError, match=r"http_401_403: status 401; it wants a key: `token_env`") as error:
        compute(ws, Serial(), [policy], QUIET)
    model.does = honest()
    compute(ws, Serial(), [policy], QUIET)
    assert {one.headers["authorization"] for one in model.asked} == {"Bearer sk-geheim"}
    assert "geheim" not in caplog.text + str(error.value) + repr(policy)


# -- what a bad server costs -----------------------------------------------------------------------------------------

WRONG = {
    "HTML": (answer(200, b"<html>busy</html>"), "malformed_answer: an answer that is no JSON"),
    "nested": (answer(200, b"[" * 100_000), "no JSON"),
    "another JSON": (answer(200, b'{"object": "list"}'), "no chat completion with one choice"),
    "a list": (answer(200, b"[]"), "no chat completion"),
    "a number": (answer(200, b"7"), "no chat completion"),
    "no choice": (answer(200, b'{"choices": []}'), "no chat completion"),
    "two choices": (says(lambda _: {"choices": completion("Yes")["choices"] * 2}), "no chat completion"),
    "odd logprobs": (says(lambda _: _odd()), "no chat completion"),
    "500": (answer(500), "http_5xx: status 500"),
    "400": (answer(400), "http_4xx: status 400"),
    "huge": (drip(head(), bytes(65_536), 0), "too_large"),
    "drips": (drip(head(200, {"Content-Length": "9999"}), b"x", 0.05), "timeout|too_slow"),
    "silent": (raw(end="hang"), "timeout"),
    "resets": (raw(end="reset"), "connect"),
    "no such model": (answer(404, b'{"error": {}}'), "http_404: status 404; is `server` its address .* `model` one"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_server_that_cannot_answer_is_sent_no_picture(case: str, tmp_path: Path) -> None:
    does, message = WRONG[case]
    ws = workspace(tmp_path, MANY[:3])
    with Model(does) as model:
        policy = model.policy(**({"timeout": 0.3} if "timeout" in message else {}))
        with pytest.raises(CurateError, match=rf"labelers\.policy: 127\.0\.0\.1:\d+, .*grey.*: .*({message})") as error:
            compute(ws, Serial(), [policy], QUIET)
        assert error.value.exit_code == (2 if "404" in message else 1)
        assert "\n" not in str(error.value)
        assert model.pictures == []
        assert len(model.asked) <= 3
    assert parts(ws, policy) == {}


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    ws = workspace(tmp_path, MANY[:3])
    policy = Policy("m", {"a": "?"}, "x", server=f"http://127.0.0.1:{closed_port()}/v1")
    with pytest.raises(CurateError, match=r"connect: .*; what is scored is kept, and the same command goes on"):
        compute(ws, Serial(), [policy], QUIET)


def test_what_may_pass_is_tried_again(tmp_path: Path) -> None:
    busy = [answer(429, headers={"Retry-After": "0"}), answer(503, headers={"Retry-After": "0"}), honest()]
    ws = workspace(tmp_path, MANY[:2])
    with Model(in_turn(*busy)) as model:
        assert compute(ws, Serial(), [model.policy()], QUIET).failed == {}
        assert len(model.asked) == 2 + 2 + 4


def test_one_picture_that_fails_is_counted_and_asked_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = MANY[:5]
    ws, victim = workspace(tmp_path, files), brightness(Image.open(io.BytesIO(MANY[2])))
    with Model() as model:
        policy = model.policy()
        model.does = but_for(lambda one: abs(brightness(shown(one)) - victim) < 0.002, answer(413))
        found = compute(ws, Serial(), [policy], QUIET)
        assert found.failed == {sha256(MANY[2]): "labelers.policy: http_4xx: status 413"}
        assert sha256(MANY[2]) in caplog.text
        assert unread(ws, [policy], ids(files)) == [sha256(MANY[2])]
        assert int(np.isnan(read(ws, policy, ids(files))["bright"]).sum()) == 1
        model.does, before = honest(), len(model.asked)
        assert compute(ws, Serial(), [policy], QUIET).failed == {}
        assert len(model.asked) == before + 4, "the grey one, and that one"


def test_pictures_that_a_server_refuses_end_nothing(tmp_path: Path) -> None:
    ws = workspace(tmp_path, MANY[:20])
    with Model(but_for(lambda one: not is_grey(shown(one)), answer(400))) as model:
        found = compute(ws, Serial(), [model.policy()], QUIET)
    assert sorted(found.failed) == ids(MANY[:20])


def test_a_server_that_goes_down_ends_the_run_soon_and_nothing_is_lost(tmp_path: Path) -> None:
    ws, other = workspace(tmp_path / "a", MANY), workspace(tmp_path / "b", MANY)
    with Model() as model:
        policy = model.policy(concurrency=2)
        compute(other, Serial(), [policy], QUIET)
        left = iter(range(20))
        model.does = but_for(lambda _: next(left, None) is None, answer(500))
        before = len(model.asked)
        with pytest.raises(CurateError, match="http_5xx: status 500; what is scored is kept"):
            compute(ws, Serial(), [policy], QUIET)
        assert len(model.asked) - before <= 20 + 3 * (asking.ENOUGH + 4)
        (kept,) = [one.part("000000") for one in [ws.table("policy", fingerprint_of(policy))]]
        assert kept is not None
        good = sum(why is None for why in kept.column("problem").to_pylist())
        assert good in (8, 9), "two questions each, after those about the grey picture; two at a time"
        model.does, before = honest(), len(model.asked)
        assert compute(ws, Serial(), [policy], QUIET).failed == {}
        assert len(model.asked) - before == 2 * len(MANY) - 18 + 2, "what was answered of others is known, too"
    assert parts(ws, policy) == parts(other, policy)


def test_a_run_that_is_killed_goes_on(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SAMPLES", 4)
    ws, other, policy = workspace(tmp_path / "a", MANY), workspace(tmp_path / "b", MANY), model.policy()
    compute(other, Serial(), [policy], QUIET)
    left, plain = iter(range(40)), honest()

    async def behave(request: Any, writer: Any) -> None:
        if next(left, None) is None:
            monkeypatch.setattr("curate.store.tables.Table.write", _killed)
        await plain(request, writer)

    model.does = behave
    with pytest.raises(KeyboardInterrupt):
        compute(ws, Serial(), [policy], QUIET)
    monkeypatch.undo()
    assert parts(ws, policy)
    assert parts(ws, policy) != parts(other, policy)
    model.does, before = honest(), len(model.asked)
    compute(ws, Serial(), [policy], QUIET)
    assert len(model.asked) - before < 2 * len(MANY), "what was written is not asked again"
    assert parts(ws, policy) == parts(other, policy)


def test_an_answer_that_is_neither_abstains_and_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ws = workspace(tmp_path, MANY[:3])
    with Model(says(lambda _: completion("Perhaps", [("Perhaps", 0.9)]))) as model, caplog.at_level(logging.WARNING):
        policy = model.policy()
        assert compute(ws, Serial(), [policy], QUIET).failed == {}
        assert "policy: 6 answers said nothing that it could read" in caplog.text
        assert np.isnan(read(ws, policy, ids(MANY[:3]))["bright"]).all()
        assert unread(ws, [policy], ids(MANY[:3])) == [], "it was an answer"
        before = len(model.asked)
        compute(ws, Serial(), [policy], QUIET)
        assert len(model.asked) == before


def test_a_picture_that_cannot_be_decoded_is_not_sent(tmp_path: Path, model: Model) -> None:
    files = MANY[:3]
    ws, policy = workspace(tmp_path, files), model.policy()
    ws.blobs.path(sha256(files[1])).write_bytes(files[1][:60])
    found = compute(ws, Serial(), [policy], QUIET)
    assert list(found.failed) == [sha256(files[1])]
    assert len(model.pictures) == 4


def test_shards_are_whole_tables(tmp_path: Path, model: Model) -> None:
    ws, policy = workspace(tmp_path, MANY[:7]), model.policy()
    assign(ws.catalog, 3)
    compute(ws, Serial(), [policy], QUIET)
    assert len(parts(ws, policy)) == 3
    assert not np.isnan(read(ws, policy, ids(MANY[:7]))["dark"]).any()


def test_a_changed_policy_is_another_table(tmp_path: Path) -> None:
    (tmp_path / "policy.md").write_text("x\n")
    plain = Policy("m", {"a": "?"}, "x")
    same = [
        dataclasses.replace(plain, timeout=9.0), dataclasses.replace(plain, concurrency=9),
        dataclasses.replace(plain, token_env="X"), dataclasses.replace(plain, allow_host="x:1"),
        dataclasses.replace(plain, classes={"a": ("porn",)}),
        Policy("m", {"a": "?"}, policy_file=tmp_path / "policy.md"),
    ]  # fmt: skip
    assert {fingerprint_of(one) for one in same} == {fingerprint_of(plain)}
    other = [
        Policy("m", {"a": "?"}, "y"), Policy("n", {"a": "?"}, "x"), Policy("m", {"a": "??"}, "x"),
        Policy("m", {"b": "?"}, "x"), Policy("m", {"a": "?"}, "x", side=256),
        Policy("m", {"a": "?"}, "x", server="http://127.0.0.1:9/v1"),
    ]  # fmt: skip
    assert len({fingerprint_of(one) for one in (plain, *other)}) == len(other) + 1


def _odd() -> Any:
    found = completion("Yes", [("Yes", 1.0)])
    found["choices"][0]["logprobs"]["content"][0]["top_logprobs"][0]["logprob"] = "much"
    return found


def _exif() -> Image.Exif:
    found = Image.Exif()
    found[0x010E] = "a secret"
    return found


def _path(ws: Workspace, data: bytes) -> Path:
    return ws.blobs.path(sha256(data))


def _sample() -> Sample:
    return Sample("a" * 64, "", "", 1, "image/jpeg", 8, 8)


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
