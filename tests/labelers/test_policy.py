"""The labeler `policy`: what is read of an answer, what its options may be, and the whole way with a made-up model."""

import dataclasses
import math
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from curate.contracts import Resources, SupportsAsk
from curate.errors import UsageError
from curate.label.functions import functions_of, meanings
from curate.options import Plugin
from curate.plugins import make
from curate.records import Axis
from curate.testing import check_labeler
from labelers.policy import Policy, answer
from tests.support.outside import SAFE, SOURCE, call, furnish
from tests.support.vlm import QUESTIONS, TEXT, Model, completion


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with Model() as found:
        yield found


# -- what is read of an answer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "top", "probability"),
    [
        ("Yes", [("Yes", 0.6), ("No", 0.2)], 0.75),
        ("Yes", [("Yes", 0.3), (" yes", 0.2), ("YES", 0.1), ("No", 0.1), ("no.", 0.1)], 0.75),
        ("Yes", [("\u2581Yes", 0.6), ("\u0120no", 0.2), ("**No", 0.1)], 2 / 3),
        ("Sure", [("Sure", 0.9), ("yes", 0.02), ("no", 0.06)], 0.25),
        ("Yes", [("Yes", 1.0)], 1.0),
        ("No", [("No", 1.0), ("Nope", 1e-9), ("yesterday", 1e-9)], 0.0),
        ("Perhaps", [("Perhaps", 1.0)], math.nan),
        ("yes", None, 1.0),
        (" No.", None, 0.0),
        ("**Yes**", [], 1.0),
        ("<think>", None, math.nan),
        ("", None, math.nan),
    ],
)
def test_a_yes_is_what_its_spellings_sum_to(text: str, top: Any, probability: float) -> None:
    assert answer(completion(text, top)) == pytest.approx(probability, nan_ok=True)


def test_odd_but_whole_answers() -> None:
    said = completion("No")
    odd_ones: list[Any] = [None, {}, {"content": None}, {"content": []}, {"content": [{"token": "No"}]}]
    for odd in odd_ones:
        said["choices"][0]["logprobs"] = odd
        assert answer(said) == 0.0
    said["choices"][0]["message"] = {"content": None, "refusal": "I cannot help with that."}
    assert math.isnan(answer(said)), "a refusal is neither"
    said = completion("Yes", [("Yes", 0.5), ("No", 0.5)])
    for token in said["choices"][0]["logprobs"]["content"][0]["top_logprobs"]:
        token["logprob"] = -9999.0  # what some servers have for nothing at all
    assert math.isnan(answer(said))


@pytest.mark.parametrize("logprob", [None, "x", [], math.nan, 10**400])
def test_probabilities_that_are_none(logprob: Any) -> None:
    said = completion("Yes", [("Yes", 0.5)])
    said["choices"][0]["logprobs"]["content"][0]["top_logprobs"][0]["logprob"] = logprob
    with pytest.raises(ValueError, match="no chat completion with one choice"):
        answer(said)


# -- what it is ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": " \n"}, "policy: a text of 1 to 65536 characters"),
        ({"policy": "x" * 70_000}, "policy: a text of 1 to"),
        ({"policy_file": "policy.md"}, "policy and policy_file: give one"),
        ({"policy": "", "policy_file": "none.md"}, r"policy_file: .*none\.md: no such file"),
        ({"policy": "", "policy_file": "."}, "no such file"),
        ({"policy": "", "policy_file": "latin.md"}, r"cannot be read as UTF-8 text \(UnicodeDecodeError\)"),
        ({"policy": "", "policy_file": "empty.md"}, "policy: a text of 1 to"),
        ({"policy": "", "policy_file": "long.md"}, "none of at most 65536"),
        ({"model": " "}, "model: the name"),
        ({"questions": {}}, "questions: one at least"),
        ({"questions": {"a": " "}}, "questions: one at least"),
        ({"questions": {"A b": "x"}}, "questions.A b: a column's name"),
        ({"questions": {"problem": "x"}}, "questions.problem: a column's name"),
        ({"classes": {"nope": ["porn"]}}, "classes.nope: no such question; there are: bright, dark"),
        ({"over_frames": {"nope": "min"}}, "over_frames.nope: no such question"),
        ({"over_frames": {"dark": "middle"}}, "over_frames.dark: no such choice 'middle'"),
        ({"side": 300}, "side: one of 256, 512, 1024 px"),
        ({"timeout": 0}, "timeout must be above 0"),
        ({"concurrency": 0}, "concurrency 1 to 64"),
        ({"token_env": "sk-12ab"}, "token_env: give the name of an environment variable, never the token itself"),
        ({"api_key": "x"}, "api_key: no such key"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "policy.md").write_text("x")
    (tmp_path / "latin.md").write_bytes(b"\xe9")
    (tmp_path / "empty.md").write_text("\ufeff \n")
    (tmp_path / "long.md").write_text("x" * 2**19)
    given = {"model": "m", "questions": QUESTIONS, "policy": TEXT} | options
    with pytest.raises(UsageError, match=rf"labelers\.policy.*{message}") as error:
        make("labelers", Plugin("policy", given, "labelers", tmp_path), "labeler")
    assert "sk-12ab" not in str(error.value)


def test_it_is_asked_from_the_driver_alone(tmp_path: Path) -> None:
    (tmp_path / "policy.md").write_text(f"\ufeff{TEXT}\r\n", newline="")
    table = {"model": "m", "questions": QUESTIONS, "policy_file": "policy.md"}
    made = make("labelers", Plugin("policy", table, "labelers", tmp_path), "labeler")
    check_labeler(made)
    check_labeler(Policy)
    assert isinstance(made, SupportsAsk)
    assert isinstance(made, Policy)
    assert made.policy == TEXT
    assert made == dataclasses.replace(made) == pickle.loads(pickle.dumps(made)) == Policy("m", QUESTIONS, TEXT)
    assert str(tmp_path) not in repr(made)
    with pytest.raises(UsageError, match="asks that from the driver"):
        made.label([])


def test_the_suite_says_what_is_wrong_with_one_that_is_asked_so() -> None:
    class Hasty(Policy):
        """It does not wait for its answer."""

        def ask(self, post: Any, picture: str) -> Any:
            return {}

    with pytest.raises(AssertionError, match="has ask\\(\\) that is no coroutine"):
        check_labeler(Hasty("m", QUESTIONS, TEXT))


@dataclasses.dataclass
class Bare:
    """One that is asked, with what asking wants but for a few options."""

    server: str
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources()
    columns: ClassVar[Mapping[str, str]] = {"a": "float32"}

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Any) -> Any:
        """Nobody calls it."""

    async def ask(self, post: Any, picture: str) -> Any:
        """Nothing is asked."""


def test_one_that_is_asked_has_all_that_asking_wants() -> None:
    """Else its `label` would be called, which nobody meant to be."""
    with pytest.raises(AssertionError, match="lacks `allow_host`; it lacks `concurrency`"):
        check_labeler(Bare)
    more = {"allow_host": str | None, "token_env": str | None, "timeout": float, "concurrency": int}
    check_labeler(dataclasses.make_dataclass("Whole", more.items(), bases=(Bare,), namespace={"__doc__": "It has."}))


def test_a_yes_votes_for_what_it_means() -> None:
    axis = Axis()
    meant = {"bright": ("porn", "hentai"), "dark": ("neutral", "drawings")}
    made = Policy("m", QUESTIONS, TEXT, classes=meant, over_frames={"dark": "min"})
    (voted,) = functions_of([made])(axis, ["policy_bright", "policy_dark"])
    assert [*meanings(voted, axis)] == [{"hentai", "porn"}, {"neutral", "drawings"}]
    columns = {
        "policy_bright": np.array([0.79, 0.8, 0.9, np.nan, 0.0]),
        "policy_dark": np.array([0.94, 0.99, 0.0, 0.95, np.nan]),
    }
    assert voted.over(columns).tolist() == [-1, 0, 0, 1, -1]
    assert made.says(axis) == {"bright": ("hentai", "porn"), "dark": ("drawings", "neutral")}
    assert functions_of([Policy("m", QUESTIONS, TEXT)])(axis, ["policy_bright", "policy_dark"]) == []
    with pytest.raises(UsageError, match=r'over_frames = \{ dark = "min" \}'):
        functions_of([Policy("m", QUESTIONS, TEXT, classes=meant)])(axis, ["policy_bright", "policy_dark"])


# -- the whole way ---------------------------------------------------------------------------------------------------


def config(model: Model, screening: str = SAFE) -> str:
    return f"""{screening}{SOURCE}
[engine]
workers = 1
[export]
splits = {{ train = 1.0, val = 0.0, test = 0.0 }}
[[labelers]]
use = "declared"
[[labelers]]
use = "policy"
model = "fake/vlm-1"
policy_file = "policy.md"
server = "{model.server.url("/v1")}"
questions = {{ bright = "Is it bright?" }}
classes = {{ bright = ["porn"] }}
"""


def test_the_whole_way(tmp_path: Path, model: Model) -> None:
    root = furnish(tmp_path, config(model))
    (root / "policy.md").write_text(TEXT)
    call(root, "fetch")
    call(root, "dedupe")
    said = call(root, "label")
    assert (said["labelled"], said["unscored"]) == (3, 0)
    assert "policy" in [one["name"] for one in said["functions"]]
    (table,) = (root / "work" / "tables").glob("policy@*")
    assert call(root, "export", "1.0.0")["rows"]["train"] == 3
    header = (root / "work" / "releases" / "1.0.0" / "release.json").read_text()
    digest = Policy("m", QUESTIONS, TEXT).digest
    assert (
        f"scored by the model fake/vlm-1 at {model.server.at}, asked by a written policy with sha256 {digest}" in header
    )
    assert call(root, "eval", "policy", "1.0.0", "--split", "train")["figures_of"]["n"] == 3, "by its table"
    (root / "theirs.toml").write_text((root / "curate.toml").read_text().rpartition("[[labelers]]")[2])
    assert "a server answers for it" in call(
        root, "eval", str(root / "theirs.toml"), "1.0.0", "--split", "train", code=2
    )
    (root / "policy.md").write_text(f"{TEXT} More.")
    asked = len(model.pictures)
    call(root, "label")
    assert len(model.pictures) == asked + 3
    assert len({*(root / "work" / "tables").glob("policy@*")} - {table}) == 1
    (root / "curate.toml").write_text(
        config(model, '[screening]\nrequired = true\n[[screening.lists]]\nuse = "lines"\npath = "list.txt"\n')
    )
    assert "never screened by" in call(root, "label", code=4)
    (root / "curate.toml").write_text(config(model).replace("127.0.0.1", "192.168.1.7"))
    assert "is not this machine" in call(root, "fetch", code=2), "before anything else is done"
    (root / "curate.toml").write_text(
        config(model, '[screening]\nrequired = true\n[[screening.lists]]\nuse = "lines"\npath = "list.txt"\n')
    )
    (root / "list.txt").unlink()
    assert "no picture is sent to a server" in call(root, "label", code=4)
    assert len(model.pictures) == asked + 3
