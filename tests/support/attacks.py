# ruff: noqa: E501
"""Requests that a review session must refuse, as raw bytes, by name; docs/review.md lists them.

`plain` says that FiftyOne's own server, as `launch_app` starts it, answers the same request with success.
"""

from urllib.parse import quote

from curate.review.app.guard import cookie
from tests.support.attack_requests import (
    AUTH,
    EVENTS,
    LIST,
    QUERY,
    SAMPLES,
    SELECT,
    SOCKET,
    TAG,
    Attack,
    Request,
    Target,
    get,
    mongo,
    post,
    stage,
)

ATTACKS: list[Attack] = []


def attack(name: str, what: str, request: Request, *, plain: bool = False) -> None:
    """Put an attack on the list."""
    ATTACKS.append(Attack(name, what, request.bytes, plain))


def raw(name: str, what: str, text: str, *, plain: bool = False) -> None:
    """Put an attack on the list that is no well-formed request; `\\n` stands for the end of a line."""

    def request(target: Target) -> bytes:
        said = text.replace("token=TOKEN", f"{cookie(target.token)}=TOKEN")
        head = said.replace("HOST", target.host).replace("TOKEN", target.token).replace("MEDIA", quote(target.media))
        return head.replace("\n", "\r\n").encode()

    ATTACKS.append(Attack(name, what, request, plain))


# -- without the token -----------------------------------------------------------------------------------------------
attack("no_token_page", "the page", get("/datasets/queue", token=False), plain=True)
attack("no_token_media", "a thumbnail", get("/media?filepath={t.media}", token=False), plain=True)
attack("no_token_graphql", "a query", post("/graphql", SELECT, token=False), plain=True)
attack("no_token_events", "the stream of events", post("/events", EVENTS, token=False), plain=True)
attack("no_token_tag", "a tag on every picture", post("/tag", TAG, token=False), plain=True)
attack(
    "no_token_operators",
    "the list of operators",
    post("/operators", {"dataset_name": "queue"}, token=False),
    plain=True,
)
attack(
    "no_token_decide",
    "a decision",
    post("/curate/decide", {"id": "0" * 24, "label": "porn", "nonce": "n"}, token=False),
)
attack("no_token_state", "the session's state", get("/curate/state", token=False))
attack("no_token_script", "a file of the app", get("/favicon.ico", token=False), plain=True)
attack("wrong_token_address", "another token in the address", get("/?token=guess", token=False))
attack(
    "wrong_token_cookie",
    "another token as the cookie",
    get("/datasets/queue", token=False, Cookie="token=guess"),
    plain=True,
)
attack("empty_token", "an empty token", get("/?token=", token=False, Cookie="token="))
attack("token_twice", "two tokens, one of them right", get("/?token=guess&token={t.token}", token=False))
attack(
    "token_on_media",
    "the token in an address that is not the printed one",
    get("/media?filepath={t.media}&token={t.token}", token=False),
)
attack(
    "token_on_post",
    "the token in the address of a POST",
    post("/graphql?token={t.token}", SELECT, token=False),
    plain=True,
)

# -- another name, another origin: DNS rebinding, pages on other sites and other ports --------------------------------
attack(
    "rebound_host",
    "DNS rebinding: a foreign name that leads here",
    get("/datasets/queue", Host="evil.example:{t.port}"),
    plain=True,
)
attack("rebound_media", "the same for a thumbnail", get("/media?filepath={t.media}", Host="evil.example"), plain=True)
attack("host_without_port", "the address without the port", get("/datasets/queue", Host="127.0.0.1"), plain=True)
attack(
    "host_prefix",
    "a foreign name that begins like ours",
    get("/datasets/queue", Host="127.0.0.1.evil.example:{t.port}"),
    plain=True,
)
attack(
    "foreign_origin_get",
    "a read by a foreign page",
    get("/media?filepath={t.media}", Origin="http://evil.example"),
    plain=True,
)
attack(
    "foreign_origin_tag",
    "a write by a foreign page",
    post("/tag", TAG, Origin="http://evil.example", Content_Type="text/plain"),
    plain=True,
)
attack(
    "foreign_origin_decide",
    "a decision by a foreign page",
    post("/curate/decide", {"id": "0" * 24}, Origin="http://evil.example"),
)
attack("null_origin", "a sandboxed page, whose origin is null", post("/graphql", SELECT, Origin="null"), plain=True)
attack(
    "other_port",
    "a page of another server of this machine",
    post("/graphql", SELECT, Origin="http://127.0.0.1:1"),
    plain=True,
)
attack("other_scheme", "our name under another scheme", post("/graphql", SELECT, Origin="https://{t.host}"), plain=True)
attack("no_origin", "a write that does not say where it is from", post("/graphql", SELECT, Origin=None), plain=True)
attack(
    "cross_site_image",
    "a picture embedded by a foreign page",
    get("/media?filepath={t.media}", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="image"),
    plain=True,
)
attack(
    "same_site_image",
    "a picture embedded by another port of this machine",
    get("/media?filepath={t.media}", Sec_Fetch_Site="same-site"),
    plain=True,
)
attack(
    "cross_site_page",
    "a link to a page of the session, from elsewhere",
    get("/datasets/queue", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="document"),
    plain=True,
)
attack(
    "preflight",
    "a browser asking on behalf of a foreign page",
    Request("OPTIONS", "/media", None, {"Origin": "http://evil.example"}),
    plain=True,
)

# -- files -----------------------------------------------------------------------------------------------------------
attack("media_etc", "any file of the machine", get("/media?filepath=/etc/hostname"), plain=True)
attack("media_environ", "the server's environment", get("/media?filepath=/proc/self/environ"), plain=True)
attack("media_secret", "a file beside the workspace", get("/media?filepath={t.secret}"), plain=True)
attack("media_original", "an original, by its path in the store", get("/media?filepath={t.blob}"), plain=True)
attack(
    "media_dotdot",
    "a way out of the folder",
    get("/media?filepath={t.folder}/../../../../../../../../../etc/hostname"),
    plain=True,
)
attack(
    "media_encoded",
    "the same, encoded",
    get(
        "/media?filepath={t.folder}%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fhostname"
    ),
    plain=True,
)
attack("media_encoded_twice", "the same, encoded twice", get("/media?filepath=%252fetc%252fhostname"))
attack("media_nul", "a NUL behind a picture's name", get("/media?filepath={t.media}%00"))
attack("media_link", "a link out of the folder", get("/media?filepath={t.link}"), plain=True)
attack(
    "media_two_names",
    "two names, the first one allowed",
    get("/media?filepath={t.media}&filepath=/etc/hostname"),
    plain=True,
)
attack(
    "media_other_name",
    "a second parameter under another name",
    get("/media?filepath={t.media}&path=/etc/hostname"),
    plain=True,
)
attack("media_relative", "a relative name", get("/media?filepath=etc/hostname"))
attack("media_folder", "a folder", get("/media?filepath={t.folder}"))
attack("media_post", "a picture by POST", post("/media?filepath={t.media}", {}))
attack(
    "static_dotdot",
    "a way out of the app's own files",
    get("/assets/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fhostname"),
)
attack("static_backslash", "the same, the other way round", get("/assets/..\\..\\etc\\hostname"))
attack("plugin_file", "another file of the plug-in's folder", get("/plugins/review/fiftyone.yml"))
attack("original_guess", "an original without a reveal", get("/curate/original/AAAAAAAAAAAAAAAAAAAAAA"))

# -- what the app can do ---------------------------------------------------------------------------------------------
attack("operator_files", "an operator that lists any folder", post("/operators/execute", LIST), plain=True)
attack("operator_stream", "the same, streamed", post("/operators/execute/generator", LIST))
attack(
    "operator_delete",
    "an operator that deletes",
    post("/operators/execute", LIST | {"operator_uri": "@voxel51/operators/delete_sample_field", "params": {}}),
)
attack("operator_unnamed", "no operator at all", post("/operators/execute", {"dataset_name": "queue"}))
attack(
    "other_dataset",
    "another dataset",
    post(
        "/graphql",
        {"query": "query a($name: String!) { dataset(name: $name) { name } }", "variables": {"name": "other"}},
    ),
    plain=True,
)
attack("introspection", "the whole schema", post("/graphql", {"query": "{ __schema { types { name } } }"}), plain=True)
attack(
    "saved_view",
    "a mutation that is not on the list",
    post(
        "/graphql", {"query": 'mutation a { createSavedView(datasetName: "queue", viewName: "x", form: {}) { name } }'}
    ),
    plain=True,
)
attack(
    "hidden_mutation",
    "the same, behind an alias and a fragment",
    post(
        "/graphql",
        {
            "query": 'mutation a { setSample: __typename ...f } fragment f on Mutation { createSavedView(datasetName: "queue", viewName: "y", form: {}) { name } }'
        },
    ),
    plain=True,
)
attack("graphql_get", "a query by GET", get("/graphql?query=%7Bversion%7D"), plain=True)
attack("graphql_batch", "several queries at once", post("/graphql", [SELECT, SELECT]))
attack(
    "graphql_two",
    "two operations, one of them harmless",
    post(
        "/graphql",
        {
            "query": 'query a { version } mutation b { createSavedView(datasetName: "queue", viewName: "z", form: {}) { name } }',
            "operationName": "b",
        },
    ),
    plain=True,
)
attack("pipeline", "a database pipeline of the asker's own", post("/graphql", mongo([{"$match": {}}])), plain=True)
attack(
    "pipeline_lookup",
    "one that reads another collection",
    post("/graphql", mongo([{"$lookup": {"from": "config", "pipeline": [], "as": "x"}}])),
    plain=True,
)
attack("pipeline_out", "one that writes a collection", post("/graphql", mongo([{"$out": "stolen"}])))
attack(
    "match_script",
    "a filter with a script in it",
    post("/graphql", {"query": SAMPLES, "variables": {"v": [stage("Match", filter={"$where": "sleep(1) || true"})]}}),
    plain=True,
)
attack("other_route", "a route that the session does not need", post("/aggregate", {"dataset": "queue"}))
attack("screenshot", "another one", Request("GET", "/screenshot/x"))
attack("traceback", "an error's stack trace", post("/values", {"dataset": "queue"}))
attack(
    "decide_as_form",
    "a decision as a form would send it",
    post("/curate/decide", {"id": "0" * 24}, Content_Type="text/plain"),
)
attack("long_body", "a body without an end", post("/graphql", {"query": "x" * (2**20 + 1)}))
attack("delete", "another method", Request("DELETE", "/dataset/0/sample/0"))

# -- websockets ------------------------------------------------------------------------------------------------------


attack(
    "websocket_no_token",
    "a websocket without the token",
    Request("GET", "/events", None, {**SOCKET, "Origin": "http://{t.host}"}, token=False),
)
attack(
    "websocket_foreign",
    "a websocket of a foreign page",
    Request("GET", "/events", None, {**SOCKET, "Origin": "http://evil.example"}),
)
attack(
    "websocket_no_origin",
    "a websocket that does not say where it is from",
    Request("GET", "/events", None, dict(SOCKET)),
)
attack(
    "websocket_elsewhere",
    "a websocket on another route",
    Request("GET", "/graphql", None, {**SOCKET, "Origin": "http://{t.host}"}),
)

# -- request smuggling, and other shapes that two parsers read in two ways ---------------------------------------------


raw(
    "smuggle_length_and_chunks",
    "a length and chunks",
    f"POST /graphql HTTP/1.1\n{AUTH}Content-Length: 6\nTransfer-Encoding: chunked\n\n{len(QUERY):x}\n{QUERY}\n0\n\n",
    plain=True,
)
raw(
    "smuggle_two_lengths",
    "two lengths",
    f"POST /graphql HTTP/1.1\n{AUTH}Content-Length: 6\nContent-Length: {len(QUERY)}\n\n{QUERY}",
)
raw(
    "smuggle_coding",
    "a coding that nobody knows",
    f"POST /graphql HTTP/1.1\n{AUTH}Transfer-Encoding: xchunked\n\n{QUERY}",
)
raw(
    "smuggle_fold",
    "a header over two lines",
    "GET /datasets/queue HTTP/1.1\nHost: HOST\nX-A: b\n Cookie: token=TOKEN\n\n",
    plain=True,
)
raw("smuggle_space", "a space before the colon", "GET /datasets/queue HTTP/1.1\nHost: HOST\nCookie : token=TOKEN\n\n")
raw(
    "smuggle_underscore",
    "a header that some take for another",
    "GET /datasets/queue HTTP/1.1\nHost: HOST\nCookie: token=TOKEN\nContent_Length: 5\n\n",
    plain=True,
)
raw("two_hosts", "two names", "GET /datasets/queue HTTP/1.1\nHost: HOST\nHost: evil.example\nCookie: token=TOKEN\n\n")
raw("no_host", "no name", "GET /datasets/queue HTTP/1.1\nCookie: token=TOKEN\n\n")
raw(
    "absolute_target",
    "a whole address as the target",
    "GET http://evil.example/datasets/queue HTTP/1.1\nHost: HOST\nCookie: token=TOKEN\n\n",
)
raw("doubled_slash", "a doubled slash", "GET //media?filepath=MEDIA HTTP/1.1\nHost: HOST\nCookie: token=TOKEN\n\n")
raw(
    "encoded_path",
    "a route in disguise",
    "GET /%6dedia?filepath=/etc/hostname HTTP/1.1\nHost: HOST\nCookie: token=TOKEN\n\n",
    plain=True,
)
raw(
    "dots_in_path",
    "a way round",
    "GET /datasets/../media?filepath=/etc/hostname HTTP/1.1\nHost: HOST\nCookie: token=TOKEN\n\n",
)
raw(
    "method_override",
    "another method in a header",
    f"POST /graphql HTTP/1.1\n{AUTH}X-HTTP-Method-Override: DELETE\nContent-Length: {len(QUERY)}\n\n{QUERY}",
    plain=True,
)
raw(
    "forwarded_host",
    "a proxy's word for the name",
    "GET /datasets/queue HTTP/1.1\nHost: HOST\nX-Forwarded-Host: evil.example\nCookie: token=TOKEN\n\n",
    plain=True,
)
raw(
    "upgrade_h2c",
    "HTTP/2 without TLS, by upgrade",
    "GET /datasets/queue HTTP/1.1\nHost: HOST\nCookie: token=TOKEN\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__\n\n",
)
raw("http_1_0", "an old version", "GET /datasets/queue HTTP/1.0\nHost: HOST\nCookie: token=TOKEN\n\n", plain=True)
raw("trace", "an echo of the cookie", "TRACE /datasets/queue HTTP/1.1\nHost: HOST\nCookie: token=TOKEN\n\n")
raw("connect", "a tunnel", "CONNECT 127.0.0.1:22 HTTP/1.1\nHost: HOST\nCookie: token=TOKEN\n\n")
