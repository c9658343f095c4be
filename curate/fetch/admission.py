"""Whether what the sources can yield may be fetched at all: asked before anything else is."""

from collections.abc import Mapping, Sequence

from curate.config import Config
from curate.contracts import Source
from curate.fetch.listing import classes, place
from curate.plugins import kind_of, options_of
from curate.policy.refusals import check_approvals, check_sources
from curate.screening.gate import Gate
from curate.store.taxonomies import harmless


def admit(config: Config, sources: Sequence[Source], gate: Gate, before: Mapping[str, Sequence[str]]) -> None:
    """Say yes to the sources, or raise: GateError for a refused one and where screening cannot answer, UsageError where
    nobody approves of what is not safe. `before`: what became of earlier classes, as `taxonomies.renamed` has it."""
    described = [{"use": kind_of(source), **options_of(source)} for source in sources]
    check_sources(described)
    safe = harmless(config.taxonomy.first.safe, before)
    gate.admit(classes(sources, config.taxonomy, before), safe, lambda label: place(sources, label))
    with_classes = [one | {"classes": source.classes()} for one, source in zip(described, sources, strict=True)]
    check_sources(with_classes)
    check_approvals(with_classes, safe)
