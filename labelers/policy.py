"""A written policy, put to a vision-language model on a server of yours: its answer to each question, yes or no."""

import hashlib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from curate.contracts import Decoded, Post, Resources
from curate.errors import UsageError
from curate.records import Axis
from labelers._columns import by_meaning, meant

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

LONGEST = 2**16  # characters of a policy
TOP = 20  # tokens whose probability is asked for: the most that the API allows
ASKED = "\n\nAnswer with one word, yes or no."
_SIDES = (256, 512, 1024)
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,63}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_BESIDE = " \t\r\n\"'.,:;!*_\u2581\u0120"  # what tokens of "yes" have before and after it


@dataclass
class Policy:
    """Asks a model behind an OpenAI-compatible server (vLLM, llama.cpp, ...) about each picture; it decides nothing.

    `policy` is the text, or `policy_file` a file with it; `questions` has one a column, each put after the policy and
    the picture; `classes` are what a yes means on an axis. `side`: px of the shorter side of the picture that is sent.
    `server` is this machine, unless `allow_host` names another; `token_env` names the variable with its key.

    Columns: of each question P(yes) / (P(yes) + P(no)) of the first token, float32; 1 or 0 where the server gives no
    probabilities; NaN where the answer is neither. Of an animation the largest of three frames, where `over_frames`
    says nothing else. Never run by us on a real model: what it gets wrong is the model's affair, and the policy's.
    """

    model: str
    questions: Mapping[str, str]
    policy: str = ""
    policy_file: Path | None = None
    classes: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict, compare=False
    )  # for votes, which are no answers
    over_frames: Mapping[str, Literal["max", "min", "mean"]] = field(default_factory=dict)
    side: int = 512
    server: str = "http://127.0.0.1:8000/v1"
    allow_host: str | None = field(default=None, compare=False)
    token_env: str | None = field(default=None, compare=False)
    timeout: float = field(default=60.0, compare=False)
    concurrency: int = field(default=4, compare=False)
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=512)
    columns: ClassVar[Mapping[str, str]] = {"answer": "float32"}  # of one that is built: by its questions

    def __post_init__(self) -> None:
        """Refuse options that cannot be meant; ValueError says which."""
        if self.policy_file is not None:
            if self.policy:
                raise ValueError("policy and policy_file: give one of them")
            self.policy, self.policy_file = _text(self.policy_file), None  # the text is what counts, wherever it lay
        self.policy = self.policy.strip()
        if not self.policy or len(self.policy) > LONGEST:
            raise ValueError(f"policy: a text of 1 to {LONGEST} characters, or policy_file, a file with one")
        if not self.model.strip():
            raise ValueError("model: the name that the server has for it")
        if not self.questions or not all(one.strip() for one in self.questions.values()):
            raise ValueError('questions: one at least, as column = "question", none empty')
        if strange := [one for one in self.questions if not _COLUMN.fullmatch(one) or one in ("id", "problem")]:
            raise ValueError(f"questions.{strange[0]}: a column's name has small letters, digits and _, a letter first")
        for option in ("classes", "over_frames"):
            if stray := sorted(getattr(self, option).keys() - self.questions.keys()):
                raise ValueError(f"{option}.{stray[0]}: no such question; there are: {', '.join(self.questions)}")
        if self.side not in _SIDES:
            raise ValueError(f"side: one of {', '.join(map(str, _SIDES))} px")
        if self.timeout <= 0 or not 1 <= self.concurrency <= 64:
            raise ValueError("timeout must be above 0 s, concurrency 1 to 64")
        if self.token_env is not None and not _VARIABLE.fullmatch(self.token_env):
            raise ValueError("token_env: give the name of an environment variable, never the token itself")
        self.over_frames = {one: self.over_frames.get(one, "max") for one in self.questions}
        own = {"columns": dict.fromkeys(self.questions, "float32"), "needs": Resources(side=self.side)}
        vars(self).update(own)

    @property
    def digest(self) -> str:
        """The sha256 of the policy's text."""
        return hashlib.sha256(self.policy.encode()).hexdigest()

    @property
    def notice(self) -> str:
        """What a release says."""
        at = urlsplit(self.server).netloc.rpartition("@")[2]
        return f"scored by the model {self.model} at {at}, asked by a written policy with sha256 {self.digest}"

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """Nobody calls it: a worker has no network."""
        raise UsageError("labelers.policy: a server answers for it, and `curate label` asks that from the driver")

    async def ask(self, post: Post, picture: str) -> Mapping[str, float]:
        """What the model says of a picture, one question after the other."""
        return {
            column: answer(await post("chat/completions", self._body(question, picture)))
            for column, question in self.questions.items()
        }

    def says(self, axis: Axis) -> Mapping[str, Sequence[str]]:
        """Its columns by what `classes` says that a yes means."""
        return {column: found for column in self.questions if (found := meant(self.classes.get(column, ()), axis))}

    def functions(self, axis: Axis, columns: Collection[str]) -> "list[LabelingFunction]":
        """One vote by what a yes means. UsageError where it would make safe, and one frame of three were enough."""
        for column, classes in self.says(axis).items():
            if set(classes) & set(axis.safe) and self.over_frames[column] != "min":
                raise UsageError(
                    f"labelers.policy: a yes to '{column}' may mean a safe class, so each frame of an animation counts:"
                    f' over_frames = {{ {column} = "min" }}'
                )
        return by_meaning("policy", {f"policy_{one}": some for one, some in self.says(axis).items()}, axis, columns)

    def _body(self, question: str, picture: str) -> Mapping[str, Any]:
        """A request. The policy comes first: a server that keeps what it has read of a prompt reads it once."""
        content = [
            {"type": "text", "text": self.policy},
            {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{picture}"}},
            {"type": "text", "text": question.strip() + ASKED},
        ]
        asked = {"model": self.model, "messages": [{"role": "user", "content": content}]}
        return asked | {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": TOP}


def answer(said: Any) -> float:
    """How probable a yes is, by a chat completion; NaN where it is neither yes nor no.

    Raises ValueError for what is no chat completion with one choice.
    """
    try:
        (choice,) = said["choices"]
        text = choice["message"]["content"]
        told = choice.get("logprobs") or {}
        tokens = (told.get("content") or [{}])[0].get("top_logprobs") or []
        likely = [(_word(one["token"]), _share(one["logprob"])) for one in tokens]
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError("its answer is no chat completion with one choice") from error
    if not likely:
        return {"yes": 1.0, "no": 0.0}.get(_word(text), math.nan)
    yes, no = (sum(share for word, share in likely if word == wanted) for wanted in ("yes", "no"))
    return yes / (yes + no) if yes + no > 0 else math.nan


def _share(logprob: Any) -> float:
    if math.isnan(value := float(logprob)):
        raise ValueError
    return math.exp(min(0.0, value))


def _word(token: object) -> str:
    return str(token or "").strip(_BESIDE).lower()


def _text(path: Path) -> str:
    """What is in a policy's file."""
    try:
        if not path.is_file() or path.stat().st_size > 4 * LONGEST:
            raise ValueError(f"policy_file: {path}: no such file, or none of at most {LONGEST} characters")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"policy_file: {path}: cannot be read as UTF-8 text ({type(error).__name__})") from error
