"""Remote matchers against servers of ours that replay the documented payloads, and against ones that misbehave.

What is asked about is a hash; what is not answered in full is not kept; no secret and no hash is ever printed.
"""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from curate.errors import GateError, UsageError
from curate.media import pdq
from curate.records import Digests
from curate.screening.gate import load
from curate.screening.matchers import _http
from curate.screening.matchers.hma import Hma
from curate.screening.matchers.shield import Shield
from tests.fetch.test_fetch import curate, fates, workspace
from tests.support.net_server import closed_port
from tests.support.pictures import encode, photograph, texture
from tests.support.web import Answer as Reply
from tests.support.web import serving

USER, PASSWORD, TOKEN = "seeded-user-9f2c", "seeded-password-7b1e", "seeded-token-4d8a"
KNOWN = [pdq.compute(photograph()).hashes[at : at + 32].hex() for at in range(0, 256, 32)]
DIGESTS = Digests("a" * 64, "b" * 40, "c" * 32)
Answer = Callable[["Asked"], tuple[int, Any]]


@dataclass(frozen=True)
class Asked:
    """One request as the server got it."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass
class Service:
    """A loopback server that answers as it is told, and remembers what it was asked."""

    answer: Answer
    asked: list[Asked] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service(lambda asked: (404, None))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _reply(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(parts.path, parse_qs(parts.query), dict(self.headers), body)
            made.asked.append(asked)
            status, payload = made.answer(asked)
            data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _reply  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARACHNID_SHIELD_USERNAME", USER)
    monkeypatch.setenv("ARACHNID_SHIELD_PASSWORD", PASSWORD)
    monkeypatch.setenv("HMA_TOKEN", TOKEN)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nothing from the environment but what is named
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setattr(_http, "PAUSE", 0.0)


def shielded(asked: Asked) -> tuple[int, Any]:
    """`POST /v1/pdq/` as it is documented: an entry for each hash, with a classification, or without."""
    detail = {"timestamp": 0.0, "sha1_base32": "A" * 32, "sha256_hex": "0" * 64, "classification": "csam"}
    hit = {"classification": "csam", "match_type": "near", "near_match_details": detail}
    miss = {"classification": "no-known-match", "match_type": None, "near_match_details": None}
    hashes = json.loads(asked.body)["hashes"]
    return 200, {"scanned_hashes": {one: hit if is_near(base64.b64decode(one)) else miss for one in hashes}}


def is_near(hash_: bytes) -> bool:
    return any((int.from_bytes(hash_) ^ int(one, 16)).bit_count() <= 31 for one in KNOWN)


def looked_up(asked: Asked) -> tuple[int, Any]:
    """`GET /m/index/status` and `GET /m/lookup` as the server has them."""
    if asked.path == "/m/index/status":
        return 200, {"pdq": {"present": True, "built_to": 7, "size": 591}, "video_md5": {"present": False, "size": 0}}
    return 200, ["MY_BANK"] if asked.query["signal"][0] in KNOWN else []


def asked_about(*images: Any) -> list[Digests]:
    found = []
    for image in images:
        hashes = pdq.compute(image).hashes
        found.append(Digests("a" * 64, "b" * 40, "c" * 32, tuple(hashes[n : n + 32].hex() for n in range(0, 256, 32))))
    return found


def test_shield_is_asked_for_hashes_in_batches_and_nothing_else(service: Service) -> None:
    service.answer = shielded
    one = Shield(service.url, batch=10)
    one.check()
    assert one.ask([*asked_about(texture(1), photograph(), texture(2)), DIGESTS]) == [None, "csam", None, None]
    assert [(a.path, len(json.loads(a.body)["hashes"])) for a in service.asked] == [
        ("/v1/pdq/", 1), ("/v1/pdq/", 10), ("/v1/pdq/", 10), ("/v1/pdq/", 4),
    ]  # fmt: skip
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert {a.headers["Authorization"] for a in service.asked} == {f"Basic {login}"}
    assert set(json.loads(service.asked[1].body)) == {"hashes"}
    assert not any(digest.encode() in a.body for a in service.asked for digest in ("a" * 64, "b" * 40, "c" * 32))


@pytest.mark.parametrize(
    ("said", "means"),
    [
        (None, None),
        ({"classification": None, "match_type": None}, None),
        ({"classification": "harmful-abusive-material", "match_type": "near"}, "harmful-abusive-material"),
        ({"classification": "a-class-that-is-new", "match_type": None}, "a-class-that-is-new"),
        ({"classification": "no-known-match", "match_type": "near"}, "no-known-match"),
    ],
)
def test_shield_in_doubt_says_yes(service: Service, said: Any, means: str | None) -> None:
    service.answer = lambda asked: (200, {"scanned_hashes": dict.fromkeys(json.loads(asked.body)["hashes"], said)})
    assert Shield(service.url).ask(asked_about(texture(1))) == [means]


def test_hma_is_asked_by_signal(service: Service) -> None:
    service.answer = looked_up
    one = Hma(service.url, token_env="HMA_TOKEN")
    one.check()
    assert one.ask(asked_about(texture(1), photograph(), texture(1))) == [None, "MY_BANK", None]
    assert service.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert {a.path for a in service.asked[1:]} == {"/m/lookup"}
    assert len(service.asked) == 1 + 16, "the same hash is asked for once"
    service.answer = lambda asked: (200, {"BANK": [{"bank_content_id": 1, "distance": "0"}]})
    assert Hma(service.url, ("md5", "sha256")).ask([DIGESTS]) == ["BANK"]
    assert [a.query["signal"] for a in service.asked[-2:]] == [["c" * 32], ["a" * 64]]


EMPTY = [{}, {"pdq": {"present": False, "size": 9}}, {"pdq": {"present": True, "size": 0}}, []]


@pytest.mark.parametrize("status", EMPTY)
def test_an_hma_without_an_index_is_no_gate(service: Service, status: Any) -> None:
    service.answer = lambda asked: (200, status)
    with pytest.raises(GateError, match="missing or empty"):
        Hma(service.url).check()


def slow(asked: Asked) -> tuple[int, Any]:
    time.sleep(0.4)
    return 200, {}


BAD: dict[str, Answer] = {
    "401": lambda asked: (401, {"detail": "no"}),
    "403": lambda asked: (403, {}),
    "429": lambda asked: (429, {}),
    "500": lambda asked: (500, b"oops"),
    "redirect": lambda asked: (302, {}),
    "not json": lambda asked: (200, b"<html>login</html>"),
    "cut json": lambda asked: (200, b'{"scanned_hashes": {'),
    "half an answer": lambda asked: (200, {"scanned_hashes": {}}),
    "another answer": lambda asked: (200, {"detail": "x"}),
    "a number": lambda asked: (200, 7),
    "endless": lambda asked: (200, b"[" + b"1," * (1 << 20) + b"1]"),
    "slow": slow,
}


@pytest.mark.parametrize("how", BAD)
@pytest.mark.parametrize("kind", ["shield", "hma"])
def test_what_is_not_answered_in_full_is_no_answer(
    service: Service, how: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "READ", 0.2 if how == "slow" else 60.0)
    monkeypatch.setattr(_http, "LARGEST", 1 << 20)
    service.answer = BAD[how]
    one = Shield(service.url) if kind == "shield" else Hma(service.url)
    with pytest.raises(GateError) as error:
        one.ask(asked_about(photograph()))
    said = str(error.value)
    for secret in (USER, PASSWORD, TOKEN, "127.0.0.1", KNOWN[0]):
        assert secret not in said
    assert len(service.asked) == (3 if how in ("429", "500", "slow", "endless") else 1)


def test_nobody_there(service: Service) -> None:
    with pytest.raises(GateError, match="does not answer"):
        Hma(f"http://127.0.0.1:{closed_port()}").check()


def test_a_url_holds_no_credentials_and_travels_by_tls() -> None:
    for url in ("http://user:pass@127.0.0.1/", "ftp://example.org", "https://example.org/?token=x", "example.org"):
        with pytest.raises(UsageError) as error:
            Hma(url).check()
        assert "pass" not in str(error.value).replace("passed", "")
    with pytest.raises(UsageError, match="https"):
        Shield("http://shield.example.org").check()


def test_a_missing_credential_is_named_and_nothing_is_asked(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARACHNID_SHIELD_PASSWORD")
    gate = load([], True, None, 1, [("shield:1", Shield(service.url))])
    assert "ARACHNID_SHIELD_PASSWORD is not set" in gate.problems[0]
    assert not service.asked


# -- a whole run -----------------------------------------------------------------------------------------------------


def configured(service: Service) -> str:
    return f'[[screening.matchers]]\nuse = "shield"\nurl = "{service.url}"\nprovider = "a service"'


def test_a_matcher_stands_in_for_a_list(tmp_path: Path, service: Service) -> None:
    service.answer = shielded
    one, other = encode(texture(1)), encode(photograph().rotate(90))
    answers: dict[str, Reply] = {"/a.jpg": (200, {}, one), "/b.jpg": (200, {}, other)}
    with serving(answers) as web:
        screen = "stop_after_matches = 0\n" + configured(service)
        root = workspace(tmp_path / "ws", web, {"porn": ["/a.jpg", "/b.jpg"]}, screen=screen, required=True)
        assert "incident 1" in curate(root, "fetch", ok=(5,))["error"]
    assert sorted(fates(root).values()) == ["gate_match", "stored"]
    said = curate(root, "screening", "incident", "1")
    assert (said["list"], said["entry"], said["provider"]) == ("shield:1", "csam", "a service")
    assert curate(root, "screening", "status")["matchers"] == [{"name": "shield:1", "provider": "a service"}]


def test_a_matcher_that_dies_keeps_everything_out(tmp_path: Path, service: Service) -> None:
    """Dead before: nothing is fetched. Dead in between: nothing more is stored, and all may be asked for again."""
    answers: dict[str, Reply] = {f"/{n}.jpg": (200, {}, encode(texture(n))) for n in range(4)}
    with serving(answers) as web:
        service.answer = lambda asked: (503, {})
        root = workspace(tmp_path / "ws", web, {"porn": list(answers)}, screen=configured(service), required=True)
        assert "answers with status 503; nothing is fetched" in curate(root, "fetch", ok=(4,))["error"]
        assert not web.asked
        calls = iter(range(1000))
        service.answer = lambda asked: shielded(asked) if next(calls) == 0 else (401, {})
        assert "the run stopped" in curate(root, "fetch", ok=(4,))["error"]
        assert set(fates(root).values()) <= {"gate_unavailable", "pending"}
        assert "gate_unavailable" in fates(root).values()
        assert not list((root / "work" / "blobs").glob("*/*"))
        service.answer = shielded
        curate(root, "fetch", "--retry-failed", "gate_unavailable")
        assert set(fates(root).values()) == {"stored"}


def test_secrets_are_nowhere(tmp_path: Path, service: Service) -> None:
    """Seeded in the environment, in URLs, in headers; looked for in all that is printed, logged, stored, released."""
    headers = {"Set-Cookie": f"s={TOKEN}", "ETag": "x"}
    answers: dict[str, Reply] = {f"/{n}.jpg": (200, headers, encode(texture(n))) for n in range(3)}
    service.answer = shielded
    with serving(answers) as web:
        lines = [web.url(f"/{n}.jpg?X-Amz-Signature={TOKEN}&size={n}") for n in range(3)]
        root = workspace(tmp_path / "ws", web, {"neutral": lines}, screen=configured(service), required=True)
        printed = [json.dumps(curate(root, "run", "1.0.0", "-v"))]
        for answer in (BAD["401"], BAD["redirect"]):
            service.answer = answer
            (root / "raw_data" / "neutral" / "urls_neutral.txt").write_text(web.url("/2.jpg?x=1"))
            printed.append(curate(root, "fetch", "-v", ok=(0, 4))["error"])
            assert "Traceback" in printed[-1]
        printed += [json.dumps(curate(root, *verb, ok=(0, 4))) for verb in (["log"], ["screening", "status"])]
    for text in printed:
        assert not any(secret in text for secret in (USER, PASSWORD, TOKEN)), text
    for path in (root / "work").rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert USER.encode() not in data, path
        assert PASSWORD.encode() not in data, path
        if "releases" in path.parts or "exports" in path.parts:
            assert TOKEN.encode() not in data, path
