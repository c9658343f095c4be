"""What is flagged or declared not safe is called safe by no label model, on votes as real material would draw them."""

import numpy as np
import pytest

from benchmarks.votes import MODELS, NSFWJS, PORN, SAFE, SETS, SHARES, WORDS, K, simulated
from curate.label.choose import decide

N = 2000


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("porn", "declared"), [("half", False), ("2.5 %", True)])
def test_nothing_accused_is_called_safe(porn: str, declared: bool, model: str) -> None:
    made = simulated(SHARES[porn], declared, more=True, n=N)
    said = made.ask(model)
    assert said.before is not None
    called, alone = decide(said.probabilities), decide(said.before)
    safe = np.append(SAFE, False)
    assert not safe[called[made.accused]].any()
    assert (called >= 0).any()
    if model not in ("snorkel", "auto, no gold"):  # Snorkel's abstains here where nobody votes for one safe class
        assert safe[alone[made.accused]].any(), "without the rule some would be: else nothing is tested"


def test_more_functions_find_more_of_what_is_not_safe() -> None:
    for porn, least in (("half", 0.95), ("2.5 %", 0.9)):
        few, many = (simulated(SHARES[porn], False, more, n=N).recall for more in (False, True))
        assert few < 0.75 < least < many
    assert simulated(SHARES["half"], True, more=True, n=N).recall > 0.995


def test_without_gold_auto_loses_no_class() -> None:
    """It did, where three functions vote for one class, and for no safe one: nine in ten had no label."""
    made = simulated(SHARES["2.5 %"], False, more=True, n=N)
    used = made.ask("auto, no gold")
    called = decide(used.probabilities)
    assert used.model == "majority"
    assert (called >= 0).mean() > 0.8
    assert (called == made.truth)[called >= 0].mean() > 0.85


def test_the_simulation_is_what_it_says() -> None:
    made = simulated(SHARES["half"], True, more=True, n=20_000)
    assert (made.votes[:, 0] == made.truth).mean() == pytest.approx(0.92, abs=0.01)  # chance is right, too
    nsfwjs = made.votes[:, 5]
    for c in np.flatnonzero(~SAFE):
        assert (nsfwjs[made.truth == c] == c).mean() == pytest.approx(0.8, abs=0.04)
    assert all(sum(each) <= 1 for one in (NSFWJS, *WORDS.values()) for each in zip(*one.values(), strict=True))
    assert SETS[:K].tolist() == np.eye(K, dtype=bool).tolist()
    assert not SAFE[PORN]
