"""The engine that [engine] asks for."""

from dataclasses import fields

from curate.config import EngineConfig
from curate.contracts import Engine
from curate.plugins import module, plugin_class


def engine_of(config: EngineConfig, aloud: bool = False) -> Engine:
    """The engine; `aloud`: what workers print is shown."""
    return _built(config, config.workers, aloud)


def alone(config: EngineConfig) -> Engine:
    """One worker of it: for what a verb decodes beside its work, a page's pictures for example."""
    return _built(config, 1, False)


def _built(config: EngineConfig, workers: int, aloud: bool) -> Engine:
    """Each engine takes the options that it has."""
    kind = plugin_class(module("curate.engine", config.use, "engine", "engine"))
    said = {field.name: getattr(config, field.name) for field in fields(config) if field.name != "use"}
    said |= {"workers": workers, "aloud": aloud}
    made: Engine = kind(**{field.name: said[field.name] for field in fields(kind) if field.name in said})
    return made
