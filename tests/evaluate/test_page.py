"""docs/baseline.md has each part of `python -m benchmarks.baseline`, between its marks, and the command finds them."""

import re

import pytest

from benchmarks.baseline import PAGE, PARTS, begin, end, written


def test_each_part_stands_between_its_marks() -> None:
    page = PAGE.read_text(encoding="utf-8")
    marked = re.findall(r"<!-- benchmarks\.baseline (\w+): (begin|end) -->", page)
    assert marked == [(name, side) for name in PARTS for side in ("begin", "end")]
    for name in PARTS:
        text = page.partition(begin(name))[2].partition(end(name))[0]
        assert "|" in text, f"{name} is empty; python -m benchmarks.baseline --only {name} --write"


def test_a_part_is_written_where_its_marks_are_and_nowhere_else() -> None:
    page = PAGE.read_text(encoding="utf-8")
    once = written(page, "journey", "new")
    assert f"{begin('journey')}\nnew\n{end('journey')}" in once
    assert written(once, "journey", "new") == once
    assert once.partition(begin("journey"))[0] == page.partition(begin("journey"))[0]
    with pytest.raises(ValueError, match="no marks of other"):
        written(page, "other", "new")
