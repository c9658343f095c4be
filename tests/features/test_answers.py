"""What a server answered is kept by what was asked: nothing is asked twice, and nothing is kept that is not so."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate import ending
from curate.engine.serial import Serial
from curate.errors import CurateError
from curate.features import asking
from curate.features.answers import NAME, Answers
from curate.features.scores import compute, read
from curate.plugins import fingerprint_of, name_of
from curate.progress import Progress
from curate.removal.takedown import takedown
from curate.store.tables import to_parquet
from curate.store.workspace import Workspace
from labelers.policy import Policy
from tests.support.net_server import Behaviour, Request, answer, in_turn, raw
from tests.support.pictures import clip, encode, texture
from tests.support.samples import sha256, workspace
from tests.support.vlm import QUESTIONS, TEXT, Model, body, but_for, completion, honest, is_grey, says, shown

QUIET = Progress(quiet=True)
FILES = sorted((encode(texture(seed, (40, 30)), "PNG") for seed in range(8)), key=sha256)
IDS = [sha256(one) for one in FILES]
ONE = {"bright": QUESTIONS["bright"]}


@pytest.fixture
def model() -> Iterator[Model]:
    with Model() as found:
        yield found


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Signals end a run as they end a command; whether it was left at once."""
    found: list[bool] = []
    monkeypatch.setattr(ending, "leave", lambda: found.append(True))
    with ending.watched():
        yield found


def parts(ws: Workspace, labeler: Any) -> dict[str, bytes]:
    folder = ws.table(name_of(labeler), fingerprint_of(labeler)).path
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


def asked(model: Model, ws: Workspace, policy: Policy) -> list[str]:
    """The questions about pictures that a run asks."""
    before = len(model.pictures)
    assert compute(ws, Serial(), [policy], QUIET).failed == {}
    return [body(one)["messages"][0]["content"][2]["text"] for one in model.pictures[before:]]


def known(ws: Workspace) -> list[str]:
    """The samples of all answers that are kept, sorted."""
    return sorted(
        one
        for table in ws.work.glob(f"tables/{NAME}@*")
        for _, rows in ws.table(NAME, table.name.partition("@")[2]).each()
        if rows is not None
        for one in rows.column("id").to_pylist()
    )


def _is_second(request: Request) -> bool:
    return not is_grey(shown(request)) and "dark" in body(request)["messages"][0]["content"][2]["text"]


# -- what is not asked again -----------------------------------------------------------------------------------------


def test_another_mapping_asks_nothing_and_another_question_that_one_alone(tmp_path: Path, model: Model) -> None:
    ws = workspace(tmp_path, FILES)
    assert len(asked(model, ws, model.policy(questions=ONE))) == len(FILES)
    before = len(model.asked)
    assert asked(model, ws, model.policy(questions=ONE, classes={"bright": ("porn",)})) == []
    assert asked(model, ws, model.policy(questions=ONE, over_frames={"bright": "min"})) == []
    assert asked(model, ws, model.policy(questions={"renamed": ONE["bright"]})) == []
    assert len(model.asked) == before, "nor the grey picture"
    more = asked(model, ws, model.policy(questions=QUESTIONS))
    assert len(more) == len(FILES)
    assert all("dark" in one for one in more)
    found = [read(ws, model.policy(questions=one), IDS)["bright"] for one in (ONE, QUESTIONS)]
    assert found[0].tolist() == found[1].tolist()


def test_frames_are_made_one_value_in_another_way_without_asking(tmp_path: Path, model: Model) -> None:
    data = clip("GIF", [Image.new("RGB", (80, 60), (grey,) * 3) for grey in (10, 250, 60)], (80, 60))
    ws = workspace(tmp_path, [data])
    with ws.catalog.tx() as db:
        db.execute("UPDATE samples SET frames = 3")
    largest, mean = (model.policy(questions=ONE, over_frames={"bright": how}) for how in ("max", "mean"))
    assert len(asked(model, ws, largest)) == 3
    assert asked(model, ws, mean) == []
    values = [float(read(ws, one, [sha256(data)])["bright"][0]) for one in (largest, mean)]
    assert values == pytest.approx([250 / 255, 320 / 3 / 255], abs=0.02)


@pytest.mark.parametrize(
    "other",
    [{"questions": {"bright": "Is it very bright?"}}, {"model": "other"}, {"policy": f"{TEXT} So."}, {"side": 256}],
    ids=lambda one: next(iter(one)),
)
def test_whatever_is_sent_otherwise_is_asked_anew(other: dict[str, Any], tmp_path: Path, model: Model) -> None:
    ws = workspace(tmp_path, [encode(texture(seed, (700, 600))) for seed in range(2)])
    assert len(asked(model, ws, model.policy(questions=ONE))) == 2
    assert len(asked(model, ws, model.policy(**({"questions": ONE} | other)))) == 2


def test_another_server_and_another_version_of_a_labeler_are_asked_anew(tmp_path: Path, model: Model) -> None:
    ws = workspace(tmp_path, FILES)
    asked(model, ws, model.policy(questions=ONE))
    with Model() as other:
        assert len(asked(other, ws, other.policy(questions=ONE))) == len(FILES)
    made = model.policy(questions=ONE)
    made.version = 2  # type: ignore[misc]
    assert len(asked(model, ws, made)) == len(FILES), "its author says that answers change"


def test_a_table_that_was_killed_while_it_was_replaced_is_made_again_from_answers(tmp_path: Path) -> None:
    ws = workspace(tmp_path, FILES)
    with Model() as model:
        policy = model.policy()
        asked(model, ws, policy)
        before, table = parts(ws, policy), ws.table("policy", fingerprint_of(policy))
        rows = table.part("000000")
        assert rows is not None
        data = to_parquet(rows[:5])
        (table.path / f"000000.{sha256(data)[:16]}.parquet").write_bytes(data)
        n = len(model.asked)
        assert compute(ws, Serial(), [policy], QUIET).rebuilt == ["policy/000000"]
        assert len(model.asked) == n
    assert parts(ws, policy) == before
    for path in table.path.iterdir():
        path.unlink()
    compute(ws, Serial(), [policy], QUIET)  # the server is gone by now
    assert parts(ws, policy) == before


# -- what ends a run -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("left")
def test_what_was_answered_before_an_interruption_is_kept(number: int, tmp_path: Path) -> None:
    ws, other, good = workspace(tmp_path / "a", FILES), workspace(tmp_path / "b", FILES), iter(range(2 + 7))

    def interrupts(_: Request) -> bool:
        if next(good, None) is not None:
            return False
        os.kill(os.getpid(), number)
        return True

    with Model() as model:
        policy = model.policy(concurrency=1)
        asked(model, other, policy)
        model.does = but_for(interrupts, raw(end="hang"))
        before = len(model.pictures)
        with pytest.raises(KeyboardInterrupt):
            compute(ws, Serial(), [policy], QUIET)
        assert len(model.pictures) - before == 7 + 1, "one was under way"
        model.does = honest()
        assert len(asked(model, ws, policy)) == 2 * len(FILES) - 7
    assert parts(ws, policy) == parts(other, policy)
    assert not [*(tmp_path / "a").rglob(".*.parquet*")], "no file is half written"


def test_a_signal_while_answers_are_written_is_heard_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: list[bool]
) -> None:
    ws, plain = workspace(tmp_path, FILES), Answers.keep

    def keep(self: Answers) -> None:
        write = self._table.write

        def signalled(part: str, table: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            write(part, table)

        monkeypatch.setattr(self._table, "write", signalled)
        plain(self)

    with Model() as model:
        monkeypatch.setattr(Answers, "keep", keep)
        with pytest.raises(KeyboardInterrupt):
            compute(ws, Serial(), [model.policy()], QUIET)
        monkeypatch.setattr(Answers, "keep", plain)
        assert asked(model, ws, model.policy()) == []
    assert not left, "it was one signal"


def test_what_is_killed_at_once_asks_some_pictures_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asking.SAMPLES * asking.TASKS == 64, "docs/labels.md says so"
    monkeypatch.setattr(asking, "SAMPLES", 2)
    monkeypatch.setattr(asking, "TASKS", 1)
    ws, plain, good = workspace(tmp_path, FILES), Answers.keep, iter(range(2))

    def keep(self: Answers) -> None:
        if next(good, None) is None:
            raise MemoryError  # nothing is written any more
        plain(self)

    with Model() as model:
        monkeypatch.setattr(Answers, "keep", keep)
        with pytest.raises(MemoryError):
            compute(ws, Serial(), [model.policy(questions=ONE)], QUIET)
        assert len(model.pictures) == 6
        monkeypatch.setattr(Answers, "keep", plain)
        assert len(asked(model, ws, model.policy(questions=ONE))) == len(FILES) - 4


@pytest.mark.usefixtures("left")
def test_a_wait_is_said_and_ends_at_a_signal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def busy(request: Any, writer: Any) -> None:
        await answer(429, headers={"Retry-After": "590"})(request, writer)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()

    with Model(busy) as model:
        ws, policy = workspace(tmp_path, FILES[:2]), model.policy()
        with pytest.raises(KeyboardInterrupt):
            compute(ws, Serial(), [policy], Progress())
        assert len(model.asked) == 1
    said = capsys.readouterr().err
    assert said.count("asks to wait") == 1
    assert f"policy: {model.server.at} asks to wait for 590 s: it is waited for; Ctrl-C ends that" in said


def test_what_is_too_long_to_wait_for_is_said_and_ends_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Model(answer(429, headers={"Retry-After": "601"})) as model:
        with pytest.raises(CurateError, match="http_429_rate: status 429; what is scored is kept"):
            compute(workspace(tmp_path, FILES[:2]), Serial(), [model.policy()], Progress())
        assert len(model.asked) == 1
    assert "asks to wait for 601 s: over 600 s are not waited for" in capsys.readouterr().err


# -- what is not kept ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "kept"),
    [(says(lambda _: {"choices": []}), []), (answer(200, b"<html>"), IDS[:2]), (answer(413), IDS[:2])],
    ids=["no answer to it", "no JSON", "none"],
)
def test_an_answer_that_the_labeler_does_not_take_is_asked_for_again(
    wrong: Behaviour, kept: list[str], tmp_path: Path
) -> None:
    ws = workspace(tmp_path, FILES[:2])
    with Model(but_for(_is_second, wrong)) as model:
        policy = model.policy()
        assert sorted(compute(ws, Serial(), [policy], QUIET).failed) == IDS[:2]
        assert known(ws) == kept, "the first question's"
        model.does = honest()
        assert sum("dark" in one for one in asked(model, ws, policy)) == 2
    assert not np.isnan(read(ws, policy, IDS[:2])["dark"]).any()


class Weighing(Policy):
    """It asks twice in the same words, and takes no answers that are one yes and one perhaps."""

    async def ask(self, post: Any, picture: str) -> Mapping[str, float]:
        """Two words about each picture."""
        said = [(await post("chat/completions", self._body("?", picture)))["choices"][0]["message"] for _ in "ab"]
        words = [one["content"] for one in said]
        if words == ["Perhaps", "Yes"]:
            raise ValueError(words)
        return {"bright": float(words == ["Yes", "Yes"])}


def test_the_same_in_the_same_words_is_asked_as_often_as_the_labeler_does(tmp_path: Path) -> None:
    """And what it does not take together, though it was kept one by one, is asked anew."""
    ws, yes = workspace(tmp_path, FILES[:1]), says(lambda _: completion("Yes"))
    with Model() as model:
        one = Weighing("fake", ONE, TEXT, server=model.server.url("/v1"))
        model.does = in_turn(yes, yes, says(lambda _: completion("Perhaps")), answer(413))  # the grey picture's first
        assert len(compute(ws, Serial(), [one], QUIET).failed) == 1
        model.does = yes
        assert len(asked(model, ws, one)) == 1 + 2, "the second; then both"
        assert read(ws, one, IDS[:1])["bright"].tolist() == [1.0]


def test_answers_that_are_damaged_are_asked_for_again(tmp_path: Path, model: Model) -> None:
    ws = workspace(tmp_path, FILES)
    asked(model, ws, model.policy(questions=ONE))
    (path,) = ws.work.glob(f"tables/{NAME}@*/*.parquet")
    path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)
    assert len(asked(model, ws, model.policy(questions=QUESTIONS))) == 2 * len(FILES)
    assert not path.exists()


def test_a_takedown_takes_answers_too(tmp_path: Path, model: Model) -> None:
    ws = workspace(tmp_path, FILES)
    asked(model, ws, model.policy())
    takedown(ws, IDS[3], "asked for")
    assert known(ws) == sorted(2 * [one for one in IDS if one != IDS[3]])
