"""The guard around FiftyOne's app: what it refuses, what the same requests do without it, and what others can reach."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from curate.review.app import guard
from tests.support.attack_requests import EVENTS, SELECT, Attack, Target, get, post, send
from tests.support.attacks import ATTACKS
from tests.support.pictures import encode, texture
from tests.support.reviewing import ROOT, Served, decisions, environment, needs, queue

pytestmark = needs("mongod")
SUCCESS = (101, *range(200, 400))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Served]]:
    root = tmp_path_factory.mktemp("guard")
    queue(root, 3)
    with Served(root) as one:
        yield root, one


@pytest.fixture(scope="module")
def target(served: tuple[Path, Served]) -> Target:
    root, one = served
    media = next(iter(sorted((root / "work" / "review").glob("*/media/*.jpg"))))
    return around(root, media, next((root / "work" / "blobs").glob("*/*")), one.port, one.token)


def around(root: Path, media: Path, blob: Path, port: int, token: str) -> Target:
    """A target, and the files that an attacker would like to read."""
    secret, link = root / "secret.txt", media.parent / "link.jpg"
    secret.write_text("secret")
    if not link.exists():
        link.symlink_to(secret)
    return Target(port, token, str(media), str(media.parent), str(blob), str(secret), str(link))


PLAIN = """
import sys, fiftyone as fo
ds = fo.Dataset("queue", persistent=True)
ds.add_sample(fo.Sample(filepath=sys.argv[1]))
fo.Dataset("other", persistent=True)
session = fo.launch_app(ds, remote=True, address="127.0.0.1", port=int(sys.argv[2]), auto=False)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """FiftyOne's own server, as its `launch_app` starts it, with a picture of ours; never in a session of ours."""
    root = tmp_path_factory.mktemp("plain")
    media = root / "media" / "one.jpg"
    media.parent.mkdir()
    media.write_bytes(encode(texture(1)))
    own = {
        "FIFTYONE_DATABASE_DIR": str(root / "db"), "FIFTYONE_CONFIG_PATH": str(root / "none"),
        "FIFTYONE_DO_NOT_TRACK": "true", "FIFTYONE_DATABASE_VALIDATION": "false",
        "FIFTYONE_PLUGINS_DIR": str(root / "plugins"), "FIFTYONE_DEFAULT_DATASET_DIR": str(root / "datasets"),
    }  # fmt: skip
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PLAIN, str(media), str(port)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment() | own, cwd=root,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert any(line == "ready\n" for line in process.stdout)
        yield around(root, media, media, port, "none")
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        process.communicate()
        _, alive = psutil.wait_procs(children, 15)
        for one in alive:
            one.kill()
        psutil.wait_procs(alive, 5)


def free_port() -> int:
    """A port that nobody listens on."""
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_refused(attack: Attack, target: Target) -> None:
    status, answer = send(target.port, attack.request(target))
    assert status not in SUCCESS, answer
    assert b"secret" not in answer
    assert b"Traceback" not in answer


@pytest.mark.soak
@pytest.mark.parametrize("attack", [one for one in ATTACKS if one.plain], ids=lambda one: one.name)
def test_succeeds_without_the_guard(attack: Attack, plain: Target) -> None:
    """So that `test_refused` can fail: FiftyOne alone answers the same request."""
    status, answer = send(plain.port, attack.request(plain))
    assert status in SUCCESS, answer


def test_the_attacks_are_listed_with_their_tests() -> None:
    text = (ROOT / "docs" / "review.md").read_text(encoding="utf-8")
    assert len(ATTACKS) >= 25
    assert len({one.name for one in ATTACKS}) == len(ATTACKS)
    listed = re.findall(r"^\| `test_refused\[(\w+)\]` \| (.*?) \| (yes|) \|$", text, re.MULTILINE)
    assert listed == [(one.name, one.what, "yes" if one.plain else "") for one in ATTACKS]


HONEST = [
    get("/datasets/queue"),
    get("/favicon.ico"),
    get("/media?filepath={t.media}"),
    get("/plugins"),
    get("/plugins/review/index.js"),
    get("/curate/state"),
    get("/?token={t.token}", token=False, Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="document"),
    get("/datasets/queue", Host="localhost:{t.port}"),
    post("/graphql", SELECT),
    post("/events", EVENTS),
    post("/operators", {"dataset_name": "queue"}),
]


@pytest.mark.parametrize("request_", HONEST, ids=lambda one: f"{one.method} {one.path.split('?')[0]}")
def test_an_honest_request_is_answered(request_: "object", target: Target) -> None:
    """So that a guard that refuses everything fails."""
    status, answer = send(target.port, request_.bytes(target))  # type: ignore[attr-defined]
    assert status == 200, answer


def test_every_answer_bears_the_headers(target: Target) -> None:
    for request in (get("/datasets/queue"), get("/media?filepath={t.media}"), get("/none"), post("/graphql", SELECT)):
        head = send(target.port, request.bytes(target))[1].split(b"\r\n\r\n")[0].lower()
        for one in (b"frame-ancestors 'none'", b"nosniff", b"no-referrer", b"same-origin", b"default-src 'self'"):
            assert one in head, (request.path, one)
        assert b"access-control" not in head


def test_the_cookie_is_the_browsers_alone(target: Target) -> None:
    head = send(target.port, get("/?token={t.token}", token=False).bytes(target))[1].split(b"\r\n\r\n")[0].decode()
    cookie = next(line for line in head.splitlines() if line.lower().startswith("set-cookie"))
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_nobody_else_of_the_machine_reaches_anything(served: tuple[Path, Served], target: Target) -> None:
    """Every listener of the process tree is on 127.0.0.1 or is a Unix socket in a folder of the owner's alone."""
    top = psutil.Process(served[1].process.pid)
    tree = [top, *top.children(recursive=True)]
    assert any("mongod" in one.name() for one in tree)
    listening = [c for one in tree for c in one.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert [c.laddr for c in listening] == [("127.0.0.1", target.port)]
    sockets = [c.laddr for one in tree for c in one.net_connections("unix") if str(c.laddr).endswith(".sock")]
    assert sockets
    for path in map(Path, map(str, sockets)):
        assert path.parent.stat().st_mode & 0o077 == 0, path
        assert path.stat().st_mode & 0o077 == 0, path


def test_nothing_was_decided_by_all_that(served: tuple[Path, Served]) -> None:
    assert decisions(served[0]) == []


def test_a_killed_server_leaves_no_mongod(tmp_path: Path) -> None:
    queue(tmp_path, 1)
    with Served(tmp_path) as one:
        children = psutil.Process(one.process.pid).children(recursive=True)
        assert children
        one.stop(9)
        _, alive = psutil.wait_procs(children, 10)
        assert not alive


def test_without_tls_only_loopback_is_served(tmp_path: Path) -> None:
    from curate.errors import UsageError
    from curate.review.app.server import Options, check

    check(Options(address="127.5.6.7"))
    check(Options(address="::1"))
    for address in ("0.0.0.0", "192.0.2.7", "::", "example.org", ""):
        with pytest.raises(UsageError, match="address"):
            check(Options(address=address))
    pem = tmp_path / "x.pem"
    pem.touch()
    check(Options(address="192.0.2.7", cert=pem, key=pem))
    for wrong in (
        Options(cert=pem),
        Options(cert=pem, key=tmp_path / "none"),
        Options(address="0.0.0.0", cert=pem, key=pem),
    ):
        with pytest.raises(UsageError):
            check(wrong)


def test_the_environment_is_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the user's own FiftyOne is told, a session is told something else."""
    from curate.review.app.dataset import environment as set_up

    told = {"FIFTYONE_ALLOWED_ORIGINS": "*", "FIFTYONE_PLUGINS_DIR": "/elsewhere", "MPLBACKEND": "Qt4Agg"}
    monkeypatch.setattr(os, "environ", told)
    set_up(tmp_path, "mongodb://x")
    assert os.environ["FIFTYONE_ALLOWED_ORIGINS"] == ""
    assert "curate" in os.environ["FIFTYONE_PLUGINS_DIR"]
    assert os.environ["MPLBACKEND"] == "agg"


@pytest.mark.parametrize(
    ("cookie", "carried"),
    [
        ('theme={"mode":"dark"}; OWN=abc', True),
        ('OWN=abc; theme={"mode":"dark"}', True),
        ("a b=\x01; ;=;==; OWN=abc", True),
        ("OWN=old; OWN=abc", True),
        ("OWN=abcd", False),
        ("OWN = abc", False),
        ('theme="; OWN=abc', True),
        ("xOWN=abc", False),
        ("token=abc", False),
        ("OTHER=abc", False),  # another session's name
        ("OTHER=other; OWN=abc", True),
        ("OWN", False),
        ("", False),
    ],
)
def test_other_programs_cookies_do_not_matter(cookie: str, carried: bool) -> None:
    cookie = cookie.replace("OWN", guard.cookie("abc")).replace("OTHER", guard.cookie("other"))
    scope = {"headers": [(b"cookie", cookie.encode("latin1"))]}
    assert (
        guard._carried(scope, guard.ReviewDoor("http", frozenset(), "abc", Path(), "queue", lambda _: True)) is carried
    )
