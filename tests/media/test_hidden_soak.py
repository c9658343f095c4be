"""Real files of cameras and editors are not refused for what these write into them."""

import pytest

from benchmarks import realfiles


@pytest.mark.soak
def test_at_most_one_percent_of_real_files_are_refused() -> None:
    """Whole refusals are explained in docs/screening.md; a limit on frames is no matter of what is hidden."""
    if not realfiles.folder().is_dir():
        pytest.skip("no files: `python -m benchmarks.realfiles --gather` fetches them")
    count, refused, pictures = realfiles.refusals()
    assert count.total() >= 200
    assert pictures >= 100
    assert len(refused) <= count.total() // 100, [f"{path.name}: {error}" for path, error in refused]
