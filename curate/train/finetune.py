"""`[train] finetune`: the last blocks of a network learn from train, beside a head that is thrown away after it.

What comes of it is a file of weights. With these the backbone is one like any other: features, the head, figures and
the package are made as without it.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curate.contracts import Decoded, Engine, Resources
from curate.errors import UsageError
from curate.evaluate import thresholds
from curate.evaluate.rows import Featured, Rows
from curate.features.devices import device_of
from curate.features.scores import compute
from curate.fingerprint import fingerprint
from curate.linear import Examples, Floats, balance, deterministic
from curate.media.pixels import pixels, shape
from curate.plugins import fingerprint_of, name_of, network_of, options_of
from curate.records import Axis
from curate.store.blobs import write
from curate.store.tables import TUNED
from curate.train.augment import COLUMN, altered
from curate.train.lesson import taught

if TYPE_CHECKING:
    import torch

    from curate.progress import Progress
    from curate.store.workspace import Workspace

EPOCHS, PATIENCE, BATCH = 10, 3, 16
RATE, MOMENTUM, DECAY = 0.01, 0.9, 1e-4  # of stochastic gradient descent
WEIGHTS, COURSE = "weights.safetensors", "course.safetensors"


@dataclass
class Pixels:
    """What a backbone is given of each picture, as a column: made where pictures are decoded, in confined workers."""

    recipe: Mapping[str, Any]
    side: int
    version: ClassVar[int] = 1

    @property
    def needs(self) -> Resources:
        """As the backbone."""
        return Resources(side=self.side)

    @property
    def columns(self) -> Mapping[str, str]:
        """The pixels in a row."""
        return {COLUMN: f"float16[{np.prod(shape(self.recipe))}]"}

    def load(self) -> None:
        """Nothing."""

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        """The pixels of each picture."""
        rows = [pixels(one.image(self.side), self.recipe).reshape(-1) for one in batch]
        return {COLUMN: np.array(rows, np.float16).reshape(len(rows), int(np.prod(shape(self.recipe))))}


def tuned(
    ws: "Workspace", backbone: Any, rows: Mapping[str, Rows], axis: Axis, engine: Engine, progress: "Progress"
) -> tuple[Any, dict[str, Any]]:
    """The backbone with its last `[train] finetune` blocks tuned to train, and what to know of it.

    Stopped by those rows of val by which no threshold is promised. After each epoch what was learnt is written down:
    who is killed goes on there, to the same bytes. Raises UsageError for a backbone that cannot be tuned.
    """
    options = ws.config.train
    if not hasattr(backbone, "with_weights"):
        raise UsageError(f"train.finetune: {network_of(backbone)} has no weights that can be tuned; timm:NAME has")
    given: Any = Pixels(dict(backbone.preprocessing()), backbone.needs.side)
    compute(ws, engine, [given], progress, "pixels", frozenset([*rows["train"].ids, *rows["val"].ids]))
    train, val = (Featured.of(ws, given, rows[split]) for split in ("train", "val"))
    lesson = taught(ws, axis, train, given, engine, progress)
    stop = val.examples(~thresholds.held_out(val.rows, axis.safe, axis.borderline, options.guarantee))
    folder = ws.work / "tables" / f"{TUNED}@{_named(ws, backbone, lesson, stop)}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with progress.stage("finetune", EPOCHS) as step, deterministic():
        course = _Course(backbone, options.finetune, len(train.rows.classes), given.recipe, folder)
        for _ in course.epochs(lesson, stop, options.seed):
            step()
        write(folder / WEIGHTS, course.weights())
    said = {"blocks": options.finetune, "of": options_of(backbone).get("sha256"), "epochs": course.best}
    return backbone.with_weights(folder / WEIGHTS), said | {"log": course.log}


def clear(ws: "Workspace", backbone: Any) -> None:
    """Remove what a training needs no more, once the model is there: pixels, and weights that are in it."""
    options = ws.config.train
    given = Pixels(dict(backbone.preprocessing()), backbone.needs.side)
    shown = [altered(given, options.augment, n, options.seed) for n in range(options.copies)]
    for one in (given, *shown):
        shutil.rmtree(ws.table(name_of(one), fingerprint_of(one)).path, ignore_errors=True)
    for folder in (ws.work / "tables").glob(f"{TUNED}@*"):
        shutil.rmtree(folder)


def blocks(network: "torch.nn.Module") -> "list[torch.nn.Module]":
    """The parts of a network that have parameters, in its order; what stands in a sequence is a part each."""
    import torch

    found: list[torch.nn.Module] = []
    for child in network.children():
        found += blocks(child) if isinstance(child, torch.nn.Sequential | torch.nn.ModuleList) else [child]
    return [one for one in found if next(one.parameters(), None) is not None]


def _named(ws: "Workspace", backbone: Any, *parts: Examples) -> str:
    """What the weights follow from, as a name."""
    options = asdict(ws.config.train)
    digest = hashlib.sha256()
    for one in parts:
        for values in (one.features, one.classes, one.weights, one.targets):
            digest.update(b"" if values is None else np.ascontiguousarray(values).tobytes())
    rules = (EPOCHS, PATIENCE, BATCH, RATE, MOMENTUM, DECAY)
    return fingerprint(fingerprint_of(backbone), options["finetune"], options["seed"], rules, digest.hexdigest())


class _Course:
    """A network that learns: in evaluation mode, so that its averages stay as they are; only its last blocks move."""

    def __init__(self, backbone: Any, n: int, k: int, recipe: Mapping[str, Any], folder: Path) -> None:
        """Where it was left; raises UsageError for more blocks than there are."""
        import torch

        self._network: Any = backbone.module()
        every = blocks(self._network)
        if n > len(every):
            raise UsageError(f"train.finetune: {network_of(backbone)} has {len(every)} blocks, and not {n}")
        width = int(backbone.columns[COLUMN].partition("[")[2][:-1])
        self._head, self._k = torch.nn.Linear(width, k), k
        torch.nn.init.zeros_(self._head.weight), torch.nn.init.zeros_(self._head.bias)
        moving = {id(p) for block in every[-n:] for p in block.parameters()}
        for p in self._network.parameters():
            p.requires_grad_(id(p) in moving)
        self._device, self._shape, self._file = device_of(backbone), shape(recipe), folder / COURSE
        self._network.to(self._device), self._head.to(self._device)
        named = [*self._network.named_parameters(), *((f"head.{name}", p) for name, p in self._head.named_parameters())]
        self._moving = {name: p for name, p in named if p.requires_grad}
        self._optimizer: Any = torch.optim.SGD(self._moving.values(), RATE, MOMENTUM, weight_decay=DECAY)
        self.log, self._kept = list[list[float]](), dict[str, torch.Tensor]()
        self._go_on()

    @property
    def best(self) -> int:
        """The epoch that is kept, from 1; the last one where val could not tell."""
        losses = [after for _, after in self.log]
        return 1 + min(range(len(losses)), key=lambda n: (losses[n], n)) if losses else 0

    def epochs(self, lesson: Examples, stop: Examples, seed: int) -> Iterator[int]:
        """Learn, an epoch a step, each in an order of its own; from where it was left."""
        weights = lesson.weights * balance(lesson, self._k)[lesson.classes]
        weights = weights / weights.mean()
        choose = len(set(stop.classes.tolist()) & set(lesson.classes.tolist())) > 1
        while len(self.log) < EPOCHS and len(self.log) - self.best < PATIENCE:
            order = np.random.default_rng([seed, len(self.log)]).permutation(len(weights))
            some = [self._step(lesson, weights, order[start : start + BATCH]) for start in range(0, len(order), BATCH)]
            after = self._loss_of(stop, balance(lesson, self._k)) if choose else -float(len(self.log))
            self.log.append([round(float(np.mean(some)), 6), round(after, 6)])
            if self.best == len(self.log):
                self._kept = {name: p.detach().cpu().clone() for name, p in self._moving.items()}
            self._write_down()
            yield len(self.log)

    def weights(self) -> bytes:
        """The whole network, as it was after the best epoch."""
        from safetensors.torch import save

        state = {name: values.cpu() for name, values in self._network.state_dict().items()}
        return bytes(save(state | {name: one for name, one in self._kept.items() if name in state}))

    def _step(self, lesson: Examples, weights: Floats, rows: np.ndarray) -> float:
        import torch

        self._optimizer.zero_grad()
        losses = self._losses(lesson.pick(rows))
        loss = (losses * torch.from_numpy(weights[rows]).to(self._device)).mean()
        torch.autograd.backward([loss])
        self._optimizer.step()
        return float(loss.detach())

    def _loss_of(self, part: Examples, each: Floats) -> float:
        import torch

        weights, some = part.weights * each[part.classes], list[np.ndarray]()
        with torch.inference_mode():
            for start in range(0, len(weights), BATCH):
                losses = self._losses(part.pick(np.arange(start, min(start + BATCH, len(weights)))))
                some.append(losses.cpu().numpy())
        return float((np.concatenate(some) * weights).sum() / weights.sum())

    def _losses(self, some: Examples) -> "torch.Tensor":
        import torch

        given = torch.from_numpy(some.features.reshape(-1, *self._shape)).to(self._device)
        wanted = torch.from_numpy(some.classes if some.targets is None else some.targets).to(self._device)
        return torch.nn.functional.cross_entropy(self._head(self._network(given)), wanted, reduction="none")

    def _write_down(self) -> None:
        import torch
        from safetensors.torch import save

        pushes = {name: self._optimizer.state[p]["momentum_buffer"] for name, p in self._moving.items()}
        parts = {"now": self._moving, "push": pushes, "kept": self._kept}
        flat = {
            f"{part}.{name}": one.detach().cpu().clone() for part, each in parts.items() for name, one in each.items()
        }
        write(self._file, save(flat | {"log": torch.tensor(self.log, dtype=torch.float64)}))

    def _go_on(self) -> None:
        import torch
        from safetensors.torch import load

        if not self._file.is_file():
            return
        found = load(self._file.read_bytes())
        self.log = found.pop("log").tolist()  # all of it was written at once, or nothing
        with torch.no_grad():
            for name, p in self._moving.items():
                p.copy_(found[f"now.{name}"])
                self._optimizer.state[p]["momentum_buffer"] = found[f"push.{name}"].to(self._device)
                self._kept[name] = found[f"kept.{name}"]
