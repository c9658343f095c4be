"""From the tables of curate.toml to the plug-ins that they name."""

from typing import TYPE_CHECKING, Any

from curate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from curate.config import Config
    from curate.contracts import SupportsSync
    from curate.options import Plugin
    from curate.screening.gate import Gate
    from curate.screening.listed import Configured
    from curate.store.catalog import Catalog


def check(config: "Config") -> None:
    """Raise UsageError for a name or an option that no plug-in has, anywhere in curate.toml: now, and not after hours.

    Lists and matchers are built where they are loaded.
    """
    from curate.contracts import SupportsAsk
    from curate.plugins import make, name_of, named

    for table in config.sources:
        make("sources", table, "source")
    _apart(config.labelers)
    if asking := [one for one in labelers(config) if isinstance(one, SupportsAsk)]:
        from curate.features.asking import at

        for one in asking:
            at(name_of(one), one)
    embedder(config)
    backbone(config)
    formats(config)
    for table in config.queues:
        make("curate.review.queues", table, "queue")
    if config.label.model != "auto":
        named("curate.label.models", config.label.model, "label.model", "label model")


def _apart(tables: "Sequence[Plugin]") -> None:
    """Refuse two tables that are called alike: their columns would be, too."""
    from curate.plugins import called

    known: set[str] = set()
    for name in map(called, tables):
        if name in known:
            raise UsageError(
                f'labelers.{name}: configured twice; keep one of the two tables, or give one a name = "..."'
            )
        known.add(name)


def sources(config: "Config") -> list[Any]:
    """Every configured source."""
    from curate.plugins import make

    if not config.sources:
        raise UsageError("curate.toml: no [[sources]]: name at least one (docs/sources.md says which there are)")
    return [make("sources", table, "source") for table in config.sources]


def systems(config: "Config", wanted: "Collection[str]") -> "dict[str, SupportsSync]":
    """Who can be asked what became of items of these systems: configured sources, and plug-ins that know a system by
    its name alone (`of_system`)."""
    from curate.contracts import SupportsSync
    from curate.plugins import make, named, names

    known = [make("sources", table, "source") for table in config.sources]
    found = {one.system: one for one in known if isinstance(one, SupportsSync) and one.system in wanted}
    for name in names("sources") if {*wanted} - {*found} else ():
        knows = getattr(named("sources", name, "sources", "source"), "of_system", None)
        for system in sorted({*wanted} - {*found}):
            if knows is not None and (made := knows(system)) is not None:
                found[system] = made
    return found


def lists(config: "Config", catalog: "Catalog | None" = None) -> "list[Configured]":
    """Every configured list, on its terms: those of its table, and what the catalog knows to be set aside of it."""
    from curate.options import Plugin, build, join
    from curate.plugins import called, make
    from curate.screening.listed import Configured, Terms
    from curate.screening.set_aside import values

    found, aside = [], values(catalog) if catalog is not None else {}
    for n, table in enumerate(config.screening.lists, start=1):
        own = {key: value for key, value in table.options.items() if key in ("radius", "negative")}
        rest = {key: value for key, value in table.options.items() if key not in own}
        terms = build(Terms, own, join(table.where, called(table)), table.base)
        origin = f"{called(table)} {rest.get('path')}"
        reader = make("curate.screening.lists", Plugin(table.use, rest, table.where, table.base), "hash list")
        terms = Terms(terms.radius, terms.negative, origin, aside.get(origin, frozenset()))
        found.append(Configured(f"{called(table)}:{n}", reader, terms))
    return found


def gate(config: "Config", catalog: "Catalog | None" = None) -> "Gate":
    """The gate over the configured lists and matchers. Without a catalog nothing of the lists is set aside."""
    from curate.plugins import called, make
    from curate.screening.gate import load

    known = lists(config, catalog)
    matchers = [
        (f"{called(table)}:{n}", make("curate.screening.matchers", table, "matcher"))
        for n, table in enumerate(config.screening.matchers, start=1)
    ]
    options, terms = config.screening, {one.name: one.terms for one in known}
    pairs = [(one.name, one.reader) for one in known]
    return load(pairs, options.required, options.max_age_days, options.stop_after_matches, matchers, terms)


def labelers(config: "Config") -> list[Any]:
    """Every configured labeler."""
    return [_labeler(table, config) for table in config.labelers]


def _labeler(table: "Plugin", config: "Config") -> Any:
    from curate.features.devices import placed
    from curate.plugins import make

    return placed(make("labelers", table, "labeler"), config.engine.device)


def embedder(config: "Config") -> Any:
    """The labeler whose vectors dedupe compares; None where none is asked for. Its options are those of `labelers`."""
    name = config.dedupe.embeddings
    if name is None:
        return None
    found = _labeler(_network(config, name, "dedupe.embeddings"), config)
    if not any("[" in kind for kind in found.columns.values()):
        raise UsageError(f"dedupe.embeddings: '{name}' gives no embedding")
    return found


def backbone(config: "Config") -> Any:
    """The network that the baseline is made on; raises UsageError for a labeler that gives no vectors."""
    from curate.plugins import named, names

    name = config.train.backbone
    found = _labeler(_with_features(_network(config, name, "train.backbone")), config)
    if not _is_network(found):
        classes = {name: named("labelers", name, "labelers", "labeler") for name in names("labelers")}
        there = ", ".join(name for name, one in classes.items() if _is_network(one))
        raise UsageError(f"train.backbone: no vectors from '{name}'; there are: {there}")
    if "[" not in found.columns.get("embedding", ""):
        raise UsageError(
            f"train.backbone: '{name}' gives no features as its table is; embedding and embedding_size say"
        )
    return found


def _network(config: "Config", name: str, where: str) -> "Plugin":
    """The table of `labelers` that is called `name`, or is of that labeler, else one without options.

    Of a labeler that runs any of several networks, `name` says which, as LABELER:ARCHITECTURE.
    """
    from curate.options import Plugin, own_file
    from curate.plugins import called

    use, _, network = (name, "", "") if own_file(name) else name.partition(":")
    own = {"architecture": network} if network else {}
    known = [one for one in config.labelers if own.items() <= one.options.items()]
    tables = [one for one in known if called(one) == name] or [one for one in known if one.use == use]
    return tables[0] if tables else Plugin(use, own, where=where)


def _with_features(table: "Plugin") -> "Plugin":
    """The table, with the option `embedding` on where its labeler has it as a switch."""
    from dataclasses import fields, replace

    from curate.plugins import named

    cls = named("labelers", table.use, table.where, "labeler")
    switch = any(one.name == "embedding" and isinstance(one.default, bool) for one in fields(cls))
    return replace(table, options={**table.options, "embedding": True}) if switch else table


def _is_network(labeler: Any) -> bool:
    """Whether a labeler, or its class, is a network that a baseline can be put on (curate.evaluate.bundle.Backbone)."""
    return hasattr(labeler, "preprocessing") and (hasattr(labeler, "module") or hasattr(labeler, "graph"))


def formats(config: "Config", named: "Sequence[str]" = ()) -> dict[str, Any]:
    """Every configured format, by name; or those that are `named`, by what [export] formats calls them or has."""
    from curate.options import Plugin, own_file
    from curate.plugins import called, make

    ours = {called(Plugin(use)): use for use in config.export.formats}
    if strange := [name for name in named if own_file(name) and name not in ours]:
        raise UsageError(f"format {strange[0]}: one's own is named in [export] formats, and then by its name here")
    uses = [ours.get(name, name) for name in named] if named else config.export.formats
    tables = [Plugin(use, where="export.formats") for use in uses]
    places = {called(one): one.use for one in tables}
    for one in tables:
        if places[called(one)] != one.use:
            raise UsageError(f"export.formats: two are called '{called(one)}', and would be written to one folder")
    return {called(one): make("manifests", one, "format") for one in tables}


def queue(config: "Config", name: str) -> Any:
    """The queue of that name, with the options of its table of curate.toml; what is not ours has one."""
    from curate.options import Plugin, suggest
    from curate.plugins import called, make

    tables = [table for table in config.queues if called(table) == name]
    if len(tables) > 1:
        raise UsageError(f"queues: '{name}' is there twice; give one table its options")
    known = queues(config)
    if name not in known:
        raise UsageError(
            f"queue.{name}: no such queue; {suggest(name, known)} (one of your own is named in [[queues]])"
        )
    return make("curate.review.queues", tables[0] if tables else Plugin(name, where="queue"), "queue")


def tables(config: "Config") -> "list[Plugin]":
    """Every table that names a plug-in with options."""
    screening = (*config.screening.lists, *config.screening.matchers)
    return [*config.sources, *config.labelers, *config.queues, *screening]


def queues(config: "Config") -> list[str]:
    """The queues that can be drawn: ours, and those that curate.toml names."""
    from curate.plugins import called, names

    return sorted({*names("curate.review.queues"), *map(called, config.queues)})
