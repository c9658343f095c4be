"""The baseline's trained part: a linear layer on frozen features. Full batches from zeros: no chance in it.

L-BFGS, an epoch a step: the loss is convex, and Adam's steps of one size for every weight overshot on 1,280 features.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from curate.config import TrainConfig

if TYPE_CHECKING:
    import torch

    Rows = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

Floats = npt.NDArray[np.float32]
Probabilities = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


HEAD = ("head.weight", "head.bias", "head.temperature")  # what is kept of a head, as tensors


@dataclass(frozen=True)
class Examples:
    """Features float32[n, d], classes int64[n] in 0..k-1, and what each row weighs, float32[n] > 0.

    `targets` float32[n, k]: what is to be learnt of each row where that is not its class alone, each summing to 1.
    """

    features: Floats
    classes: Ints
    weights: Floats
    targets: Floats | None = None

    def pick(self, rows: Ints) -> "Examples":
        """Some of the rows, by number."""
        targets = None if self.targets is None else self.targets[rows]
        return Examples(self.features[rows], self.classes[rows], self.weights[rows], targets)


@dataclass(frozen=True)
class Head:
    """logits = (features @ weight.T + bias) / temperature; weight float32[k, d], bias float32[k].

    `epochs` is the epoch that was kept; `stopping` is "val", or says why val could not choose it. `log` has a row an
    epoch: its number, the loss of train with the weights' decay before it, the loss of val after it (NaN: no val).
    """

    weight: Floats
    bias: Floats
    epochs: int
    stopping: str
    temperature: float = 1.0
    log: Sequence[tuple[int, float, float]] = ()

    def probabilities(self, features: Floats) -> Probabilities:
        """float64[n, k], each row summing to 1."""
        logits = features.astype(np.float64) @ self.weight.T.astype(np.float64) + self.bias
        return softmax(logits / self.temperature)

    def tensors(self) -> dict[str, Floats]:
        """What has to be kept of it."""
        temperature = np.array([self.temperature], dtype=np.float32)
        return dict(zip(HEAD, (self.weight, self.bias, temperature), strict=True))

    @classmethod
    def of(cls, tensors: Mapping[str, Floats]) -> "Head":
        """From what was kept; raises KeyError where something is missing."""
        weight, bias, temperature = (tensors[name] for name in HEAD)
        return cls(weight, bias, 0, "", float(temperature[0]))


def softmax(logits: Probabilities) -> Probabilities:
    """Rows of logits as probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def fit(train: Examples, val: Examples, k: int, options: TrainConfig, device: str = "cpu") -> Head:
    """The head of the epoch with the lowest loss on `val`; classes weigh the same in all, whatever their number.

    Same examples, same head, to the byte, on one kind of `device` (torch's name).

    Where `val` holds fewer than two of the classes in `train` it cannot choose, and all configured epochs are run.
    """
    mean = train.features.mean(axis=0)
    scale = float(train.features.std(axis=0).max()) or 1.0  # one for all: what hardly varies here must not shout there
    each = balance(train, k)
    known = set(val.classes.tolist()) & set(train.classes.tolist())
    with deterministic():
        ours, theirs = (_tensors(part, mean, scale, each, device) for part in (train, val))
        weight, bias, epochs, log = _descend(ours, theirs if len(known) > 1 else None, k, options)
    weight = weight / scale
    stopping = "val" if len(known) > 1 else "all epochs: val holds fewer than two classes"
    return Head(weight.astype(np.float32), (bias - weight @ mean).astype(np.float32), epochs, stopping, log=log)


def balance(train: Examples, k: int) -> Floats:
    """float32[k]: by how much rows of each class weigh more, so that all classes weigh the same."""
    mass = np.bincount(train.classes, weights=train.weights, minlength=k)
    return np.where(mass > 0, mass.sum() / np.maximum(mass, 1e-12), 0).astype(np.float32)


def _tensors(part: Examples, mean: Floats, scale: float, each: Floats, device: str) -> "Rows":
    import torch

    features = torch.from_numpy(((part.features - mean) / scale).astype(np.float32)).to(device)
    weights = torch.from_numpy(part.weights * each[part.classes]).to(device)
    targets = torch.from_numpy(part.classes if part.targets is None else part.targets)
    return features, targets.to(device), weights


def _descend(
    train: "Rows", val: "Rows | None", k: int, options: TrainConfig
) -> tuple[Probabilities, Probabilities, int, list[tuple[int, float, float]]]:
    import torch

    weight = torch.zeros(k, train[0].shape[1], device=train[0].device, requires_grad=True)
    bias = torch.zeros(k, device=train[0].device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=1, history_size=10, line_search_fn="strong_wolfe")

    def objective() -> float:
        optimizer.zero_grad()
        loss = _loss(train, weight, bias) + 0.5 * options.weight_decay * (weight**2).sum()
        torch.autograd.backward([loss])
        return float(loss.detach())

    kept, best, lowest = (weight.detach().clone(), bias.detach().clone()), 0, float("inf")
    log: list[tuple[int, float, float]] = []
    for epoch in range(1, options.epochs + 1):
        before = float(optimizer.step(objective))  # type: ignore[no-untyped-call]
        with torch.no_grad():
            loss = -float(epoch) if val is None else float(_loss(val, weight, bias))
        log.append((epoch, before, float("nan") if val is None else loss))
        if loss < lowest:
            kept, best, lowest = (weight.detach().clone(), bias.detach().clone()), epoch, loss
        elif epoch - best >= options.patience:
            break
    return kept[0].cpu().numpy().astype(np.float64), kept[1].cpu().numpy().astype(np.float64), best, log


def _loss(rows: "Rows", weight: "torch.Tensor", bias: "torch.Tensor") -> "torch.Tensor":
    import torch

    features, targets, weights = rows
    losses = torch.nn.functional.cross_entropy(features @ weight.T + bias, targets, reduction="none")
    return (losses * weights).sum() / weights.sum()


@contextmanager
def deterministic() -> Iterator[None]:
    """One thread and no algorithm that depends on chance, for as long as the fit runs."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has no order that stays the same
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
