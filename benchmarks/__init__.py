"""Figures, each beside a peer's from the same run. Ratios carry over to another machine; absolute numbers do not."""
