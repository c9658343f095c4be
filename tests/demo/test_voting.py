"""What the demo says of labelling, from what `curate label` answers."""

from curate.demo.voting import tables


def test_functions_the_model_and_the_bootstrap_are_told_of_for_each_axis() -> None:
    one = {"name": "f", "coverage": 0.5, "overlap": 0.25, "conflict": 0.0, "alone": 2, "faults": 0, "remarks": ["dead"]}
    chosen = {"model": "majority", "log_loss": {}, "gold_n": 0, "reason": "few"}
    found = {"functions": [one, one | {"name": "g", "coverage": 0.0}], "chosen": chosen}
    said = {"axes": {"content": found | {"bootstrap": {"said": "filled 3"}}, "other": found | {"bootstrap": None}}}
    first, second = tables("two classes", said)
    assert first["title"] == "Labelling functions of two classes, axis content"
    assert first["rows"] == [["f", 0.5, 0.25, 0.0, 2, 0, "dead"]]
    assert first["note"] == "Found nothing to vote on: g. Label model: majority (few). Bootstrap: filled 3."
    assert second["note"].endswith("Label model: majority (few).")
