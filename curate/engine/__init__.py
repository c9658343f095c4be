"""Where work runs: an engine is a map. Files without a leading _ are the engines that `[engine] use` names."""

from curate.engine._aside import Aside
from curate.engine._each import MOST, each, slices
from curate.engine._made import alone, engine_of
from curate.engine._pace import step

__all__ = ["MOST", "Aside", "alone", "each", "engine_of", "slices", "step"]
