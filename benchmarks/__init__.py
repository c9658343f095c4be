"""Figures, each beside a peer's from the same run. Ratios carry over to another machine; absolute numbers do not."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # figures are of one core; and workers import this before they begin
