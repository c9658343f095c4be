"""What the guard lets through to FiftyOne's app, as lists; everything else is refused.

The lists are what the app of FiftyOne 1.22 asks for while it shows, filters, sorts and tags one dataset.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Refusal:
    """An HTTP status, and why."""

    status: int
    why: str


ROUTES: dict[str, tuple[str, ...]] = {
    "GET": (
        r"/",
        r"/media",
        r"/(datasets/)?favicon\.ico",
        r"/datasets/DATASET",
        r"/(datasets/)?assets/[A-Za-z0-9._-]+",
        r"/plugins",
        r"/plugins/review/index\.js",
        r"/curate/(start\.js|about|state|original/[A-Za-z0-9_-]+)",
    ),
    "POST": (
        r"/graphql",
        r"/events?",
        r"/operators",
        r"/operators/(execute|resolve-placements)",
        r"/tag(ging)?",
        r"/values",
        r"/curate/(decide|undo|skip|decline|escalate|reveal|obscure|close)",
    ),
    "PATCH": (r"/dataset/[0-9a-f]{24}/sample/[0-9a-f]{24}",),
}
OPERATORS = frozenset({"@voxel51/operators/get_label_schemas", "@voxel51/operators/list_workspaces"})
QUERIES = frozenset(
    {
        "__typename", "aggregations", "colorscale", "config", "context", "dataset", "datasets",
        "dev", "doNotTrack", "estimatedDatasetCount", "lightning", "sample", "samples", "savedViews",
        "stageDefinitions", "uid", "version", "aggregate", "schemaForViewStages",
    }
)  # fmt: skip
MUTATIONS = frozenset(
    {
        "searchSelectFields", "setColorScheme", "setDataset", "setFieldVisibilityStage", "setGroupSlice",
        "setLabelSelectionStyle", "setSample", "setSampleSelectionStyle", "setSelected", "setSelectedLabels",
        "setSelectedSamples", "setSidebarGroups", "setSpaces", "setView",
    }
)  # fmt: skip
STAGES = frozenset(
    {
        "Exclude", "ExcludeBy", "ExcludeFields", "Exists", "FilterField", "FilterLabels", "Limit", "Match",
        "MatchLabels", "MatchTags", "Select", "SelectBy", "SelectFields", "Shuffle", "Skip", "SortBy", "Take",
    }
)  # fmt: skip
# Operators of MongoDB that read another collection, write one, or run a script.
_FORBIDDEN = re.compile(
    r"\$(out|merge|lookup|graphLookup|unionWith|function|accumulator|where|documents|currentOp|collStats"
    r"|listSessions|listLocalSessions|planCacheStats|indexStats)"
)
_NAMES = ("dataset", "dataset_name", "datasetName")


def allowed(kind: str, method: str, path: str, dataset: str) -> Refusal | None:
    """Whether a route is on the list; websockets are passed through to the app's events alone."""
    if kind == "websocket":
        return None if path == "/events" else Refusal(403, "no such route")
    routes = ROUTES.get("GET" if method == "HEAD" else method)
    if routes is None:
        return Refusal(405, "no such method")
    if any(re.fullmatch(route.replace("DATASET", re.escape(dataset)), path) for route in routes):
        return None
    return Refusal(403, "no such route")


def judged(path: str, data: Mapping[str, Any], dataset: str) -> Refusal | None:
    """Whether a JSON body asks for what is on the lists; `path` is its route."""
    for key, value in _walk(data):
        if _FORBIDDEN.fullmatch(key):
            return Refusal(403, "a pipeline of another kind")
        if key == "_cls" and isinstance(value, str) and _stage(value) not in (None, *STAGES):
            return Refusal(403, "a view stage that is not on the list")
        if key in _NAMES and isinstance(value, str) and value != dataset:
            return Refusal(403, "another dataset")
    if path == "/operators/execute" and data.get("operator_uri") not in OPERATORS:
        return Refusal(403, "an operator that is not on the list")
    return _graphql(data, dataset) if path == "/graphql" else None


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth; text that is itself JSON is looked into as well."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, Mapping):
            yield from one.items()
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)
        elif isinstance(one, str) and one[:1] in "[{":
            try:
                stack.append(json.loads(one))
            except (ValueError, RecursionError):
                continue


def _stage(name: str) -> str | None:
    """The view stage that a `_cls` names; None for a label's class."""
    module, _, stage = name.rpartition(".")
    return stage if module.endswith("stages") else None


def _graphql(data: Mapping[str, Any], dataset: str) -> Refusal | None:
    from graphql import GraphQLError, OperationDefinitionNode, parse

    try:
        document = parse(str(data.get("query")), max_tokens=20_000)
    except (GraphQLError, RecursionError):
        return Refusal(400, "not GraphQL")
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    if len(operations) != 1:
        return Refusal(403, "one operation at a time")
    wanted = {"query": QUERIES, "mutation": MUTATIONS}.get(operations[0].operation.value, frozenset())
    stray = sorted(_fields(operations[0].selection_set, document) - wanted)
    if stray:
        return Refusal(403, f"{operations[0].operation.value} {stray[0]}")
    variables = data.get("variables") or {}
    named = isinstance(variables, Mapping) and variables.get("name")
    if isinstance(named, str) and named != dataset:
        return Refusal(403, "another dataset")
    return None


def _fields(asked: Any, document: Any) -> set[str]:
    """The root fields of an operation, those of its fragments included."""
    fragments = {one.name.value: one for one in document.definitions if one.kind == "fragment_definition"}
    found, seen, stack = set(), set(), [asked]
    while stack:
        for one in stack.pop().selections:
            if one.kind == "field":
                found.add(one.name.value)
            elif one.kind == "inline_fragment":
                stack.append(one.selection_set)
            elif one.name.value in fragments and one.name.value not in seen:
                seen.add(one.name.value)
                stack.append(fragments[one.name.value].selection_set)
    return found
