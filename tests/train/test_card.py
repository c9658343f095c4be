"""The model's card: what a stream would cost people, as sure as the figures are that it rests on."""

from curate.train.card import _load


def rows(found: tuple[float, float, float], alarms: tuple[float, float, float]) -> list[str]:
    test = {
        "not_safe_recall": found[0], "not_safe_recall_interval": found[1:],
        "not_safe_false_positive_rate": alarms[0], "not_safe_false_positive_rate_interval": alarms[1:],
    }  # fmt: skip
    return [line for line in _load(test) if line.startswith(("| 0", "| 1", "| 5"))]


def test_a_few_test_rows_without_an_error_promise_nothing_of_a_stream() -> None:
    """No false alarm among four safe rows may be half of them: every flag of a stream may then be wrong."""
    said = rows((1.0, 0.5101, 1.0), (0.0, 0.0, 0.4899))
    assert said[0] == "| 0.1% | 0.10% (0.05% to 49.04%) | 100.0% (0.1% to 100.0%) |"


def test_the_ends_hold_what_lies_between() -> None:
    assert rows((0.9, 0.8, 0.95), (0.05, 0.02, 0.1))[1:] == [
        "| 1.0% | 5.85% (2.78% to 10.85%) | 15.4% (7.5% to 32.4%) |",
        "| 5.0% | 9.25% (5.90% to 14.25%) | 48.6% (29.6% to 71.4%) |",
    ]
