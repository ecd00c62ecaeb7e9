# SPDX-License-Identifier: MIT
"""The interface as a whole: /openapi.json, versions, health and metrics, and HTTP/2."""

import json
import re
import subprocess

import pytest

from api import item, ok, refused, running_world, world
from conftest import SOON, environment


@pytest.fixture(scope="module")
def document(world):
    answer = world.nobody.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return ok(answer)


# --- /openapi.json ---


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_it_is_openapi_3(document):
    assert document["openapi"].startswith("3.1")
    assert document["info"].keys() >= {"title", "version"}
    names = set()
    for method, path, operation in operations(document):
        assert path.startswith("/") and method in ("get", "post", "put", "delete")
        assert operation["operationId"] not in names
        names.add(operation["operationId"])
        assert operation["summary"].endswith(".")
        assert "200" in operation["responses"] and "default" in operation["responses"]
        in_path = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] in ("path", "query") and parameter["schema"]
            assert parameter["required"] is (parameter["in"] == "path")
        assert ("requestBody" in operation) <= (method in ("post", "put"))


def test_every_reference_leads_somewhere_and_every_schema_is_used(document):
    used = set()

    def walk(value):
        if isinstance(value, dict):
            for name, inner in value.items():
                if name == "$ref":
                    used.add(inner)
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(document)
    for reference in used:
        assert reference.startswith("#/components/")
        place = document
        for part in reference[2:].split("/"):
            place = place[part]
    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert schemas <= used
    types = {"object", "array", "string", "integer", "boolean"}
    for name, schema in document["components"]["schemas"].items():
        assert schema["type"] == "object", name
        assert set(schema.get("required", ())) <= schema["properties"].keys(), name
        for member, what in schema["properties"].items():
            assert "$ref" in what or what["type"] in types, (name, member)
            if what.get("type") == "array":
                assert what["items"]


def test_the_document_is_the_routes(world, document):
    """What it names is served; nothing else below its prefixes is."""
    known = {path: set(methods) for path, methods in document["paths"].items()}
    patterns = {
        re.compile(re.sub(r"{path}", ".+", re.sub(r"{(?!path)\w+}", "[^/]+", path)) + "$"): methods
        for path, methods in known.items()
    }
    for path in known:
        real = re.sub(r"{(\w+)}", lambda m: "0" if m.group(1) in ("index", "number") else "x", path)
        if path.startswith("/log/tile"):
            real = (
                real.replace("/x", "/0/000.p/1")
                if path == "/log/tile/{path}"
                else real.replace("/x", "/000.p/1")
            )
        methods = set().union(*(m for pattern, m in patterns.items() if pattern.match(real)))
        for method in ("get", "post", "put", "delete"):
            answer = world.nobody.call(method.upper(), real)
            if method in methods:
                assert answer.status not in (404, 405, 501), (method, real, answer)
            else:
                refused(answer, 405, "unsupported")
                allow = {m.strip().lower() for m in answer.headers["allow"].split(",")}
                assert methods == allow, (real, allow)
    for path in (
        "/",
        "/v1",
        "/v1/",
        "/v2/hello",
        "/v1/hello/x",
        "/v1/key",
        "/v1/keys/x/y",
        "/v1/sign/",
        "/log",
        "/log/",
        "/openapi.yaml",
        "/console/",
        "/tsa",
        "/healthz/",
        "/.env",
        "/v1/keys/x/guard/x",
        "/v1/users/x/api-tokens/x/y",
    ):
        refused(world.nobody.get(path), 404, "not-found")


def test_what_is_answered_fits_the_document(world, document):
    """Real answers have no member that the document does not name, and each is of the type it
    says."""
    schemas = document["components"]["schemas"]

    def check(value, schema, where):
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
        if "enum" in schema:
            assert value in schema["enum"], where
        if schema["type"] == "object" and "properties" in schema:
            assert set(schema.get("required", ())) <= value.keys(), where
            for name, inner in value.items():
                assert name in schema["properties"], f"{where}.{name}"
                check(inner, schema["properties"][name], f"{where}.{name}")
        elif schema["type"] == "array":
            for inner in value:
                check(inner, schema["items"], where + "[]")
        elif schema["type"] == "string":
            assert isinstance(value, str), where
            assert re.search(schema.get("pattern", ""), value), where
        elif schema["type"] == "integer":
            assert isinstance(value, int) and not isinstance(value, bool), where
        elif schema["type"] == "boolean":
            assert isinstance(value, bool), where

    world.person("plain")
    world.token_for("plain", ["sign"])
    asked = {
        "hello": {},
        "whoami": {},
        "users.list": {},
        "tokens.list": {},
        "keys.list": {},
        "policies.list": {},
        "log.list": {},
        "certs.development-ca": {},
        "users.show": {"name": "plain"},
        "keys.show": {"name": "k"},
        "policies.show": {"number": "0"},
        "log.show": {"index": "0"},
        "log.receipt": {"index": "0"},
        "sign": {"body": {"items": [item("k"), item("none")], "receipt": "full"}},
        "policies.test": {"body": {"request": {"items": [item("k")]}}},
        "certs.csr": {"name": "k", "body": {"subject": "CN=x"}},
        "certs.development": {"name": "k", "body": {}},
        "users.enrolment-code": {"name": "plain", "body": {}},
        "users.api-token-create": {"name": "plain", "body": {"scopes": ["sign"]}},
    }
    done = set()
    for method, path, operation in operations(document):
        given = asked.get(operation["operationId"])
        if given is None:
            continue
        done.add(operation["operationId"])
        real = re.sub(r"{(\w+)}", lambda m, given=given: given[m.group(1)], path)
        answer = ok(world.admin.call(method.upper(), real, given.get("body")))
        check(
            answer,
            operation["responses"]["200"]["content"]["application/json"]["schema"],
            operation["operationId"],
        )
    assert done == asked.keys()


# --- versions ---


def test_an_older_client_with_fewer_fields_is_served(world):
    """What version 1 began with, forever: no optional member, and answers may have more than it
    knows."""
    with world.logged("sign.intent", "sign.outcome"):
        answer = world.admin.post("/v1/sign", {"items": [item("k")]}, headers={"Chancery-Api": "1"})
    ok(answer)
    assert answer.headers["chancery-api"] == "1"
    hello = ok(world.nobody.get("/v1/hello"))
    assert hello["api_min"] <= 1 <= hello["api_max"]
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", hello["server"])


@pytest.mark.parametrize(
    "version", ["0", "2", "99", "-1", "1.0", "one", "", " ", "01", "1,2", "9" * 30]
)
def test_a_version_that_is_not_spoken(world, version):
    with world.unchanged():
        answer = world.admin.post(
            "/v1/sign", {"items": [item("k")]}, headers={"Chancery-Api": version}
        )
        problem = refused(answer, 400, "unsupported")
        assert "1" in problem["detail"]


# --- health and metrics ---


def test_health(world):
    for path, text in (("/healthz", b"alive\n"), ("/readyz", b"ready\n")):
        answer = world.nobody.get(path)
        assert (answer.status, answer.body) == (200, text)
        assert world.nobody.call("HEAD", path).status == 200
        assert world.nobody.post(path).status in (404, 405)


SAMPLE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9.e+]+)$'
)


def metrics(client):
    """{name: {labels: value}} of the Prometheus text format; asserts its rules."""
    answer = client.get("/metrics")
    assert answer.status == 200, answer
    assert answer.headers["content-type"].startswith("text/plain"), answer.headers
    found, types, helped, closed, current = {}, {}, set(), set(), None
    for line in answer.body.decode().splitlines():
        if line.startswith("# "):
            _, what, name, rest = line.split(" ", 3)
            assert what in ("HELP", "TYPE") and name not in closed, line
            if what == "TYPE":
                assert name not in types and rest in ("counter", "gauge", "histogram"), line
                types[name] = rest
            else:
                assert name not in helped and rest, line
                helped.add(name)
            continue
        name, labels, value = SAMPLE.match(line).groups()
        if name != current:
            assert name not in closed, f"{name} stands in two places"
            if current is not None:
                closed.add(current)
            current = name
        assert name in types and name in helped, line
        assert labels not in found.setdefault(name, {}), line
        assert name.endswith("_total") == (types[name] == "counter"), line
        found[name][labels] = float(value)
    assert answer.body.endswith(b"\n")
    return found


def test_metrics(world):
    auditor = world.person("auditor", roles=["auditor"])
    before = metrics(auditor)
    ok(world.admin.sign("k"))
    refused(world.nobody.get("/v1/whoami"), 401, "unauthenticated")
    after = metrics(auditor)
    signed = "chancery_signatures_total"
    labels = next(label for label in after[signed] if "signed" in label or "done" in label)
    assert after["chancery_ready"].keys() >= {'process="signer"', 'process="query"'}
    assert set(after["chancery_ready"].values()) == {1.0}
    for name, values in before.items():
        if name.endswith("_total"):
            for label, value in values.items():
                assert after[name][label] >= value, name
    answers = "chancery_http_responses_total"
    assert after[answers]['status="401"'] >= before[answers].get('status="401"', 0) + 1
    assert labels


def test_metrics_are_not_for_everybody(world):
    refused(world.person("plain").get("/metrics"), 403, "forbidden")
    refused(world.nobody.get("/metrics"), 401, "unauthenticated")
    text = world.admin.get("/metrics").body.decode()
    assert "chyt_" not in text and "Bearer" not in text


def test_metrics_may_be_opened():
    with running_world(public="true") as opened:
        assert metrics(opened.nobody)
        refused(opened.nobody.get("/v1/keys"), 401, "unauthenticated")


# --- answers ---


def test_headers_of_answers(world):
    for answer in (
        world.nobody.get("/v1/hello"),
        world.nobody.get("/nothing"),
        world.admin.get("/v1/keys"),
    ):
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["chancery-request-id"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "strict-transport-security" in answer.headers
        assert "server" not in answer.headers
        assert "no-store" in answer.headers["cache-control"]
    seen = {world.nobody.get("/healthz").headers["chancery-request-id"] for _ in range(50)}
    assert len(seen) == 50


def test_the_request_id_is_in_the_log(world):
    with world.logged("sign.intent", "sign.outcome") as logged:
        answer = world.admin.sign("k")
    assert {entry["request_id"] for entry, _ in logged} == {answer.headers["chancery-request-id"]}


# --- HTTP/2 ---


def curl(world, client, path, *words, body=None):
    cert = ["--cert", str(client.identity.file)] if client.identity else []
    data = ["--data-binary", "@-", "-H", "Content-Type: application/json"] if body else []
    token = ["-H", f"Authorization: Bearer {client.token}"] if client.token else []
    done = subprocess.run(
        [
            "curl",
            "-sS",
            "--http2",
            "--cacert",
            str(world.ca),
            *cert,
            *data,
            *token,
            *words,
            "-w",
            "\n%{http_version} %{http_code}",
            f"{world.server.url}{path}",
        ],
        capture_output=True,
        text=True,
        input=json.dumps(body) if body else None,
        timeout=SOON,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    text, _, last = done.stdout.rpartition("\n")
    version, status = last.split()
    assert version == "2", done.stdout
    return int(status), text


def test_http2_does_the_same(world):
    status, text = curl(world, world.nobody, "/v1/hello")
    assert status == 200 and json.loads(text)["api_max"] == 1
    status, text = curl(world, world.admin, "/v1/whoami")
    assert (status, json.loads(text)["principal"]) == (200, "admin")
    with world.logged("sign.intent", "sign.outcome"):
        status, text = curl(world, world.admin, "/v1/sign", body={"items": [item("k", b"two")]})
    result = json.loads(text)["results"][0]
    assert status == 200 and world.verifies("k", b"two", result["signature"])
    world.person("plain")
    token, _ = world.token_for("plain", ["sign"])
    status, text = curl(world, token, "/v1/sign", body={"items": [item("k", b"two")]})
    assert status == 200 and json.loads(text)["results"][0]["is_signed"]


def test_http2_refuses_the_same(world):
    with world.unchanged():
        for client, path, words, body, want in (
            (world.nobody, "/v1/whoami", [], None, 401),
            (world.admin, "/v1/keys/none", [], None, 404),
            (world.admin, "/v1/sign", ["-X", "DELETE"], None, 405),
            (world.admin, "/v1/sign", [], {"items": []}, 400),
            (world.admin, "/v1/sign", [], {"items": [item("k")] * 1001}, 413),
            (world.admin, "/v1/sign", ["-H", "Chancery-Api: 7"], {"items": [item("k")]}, 400),
            (world.admin, "/v1/sign", ["-H", "Transfer-Encoding: chunked"], {"items": []}, 400),
            (world.admin, "/v1/sign", ["-H", "X: " + "y" * 20000], {"items": []}, None),
        ):
            try:
                status, text = curl(world, client, path, *words, body=body)
            except AssertionError:
                assert want is None  # a field that large may cost the connection
                continue
            assert status == want or want is None and status >= 400, (path, status, text)
            assert json.loads(text)["status"] == status


def test_many_streams_at_once(world):
    """A few hundred signatures over a few connections, 32 streams each."""
    path = world.folder / "body.json"
    path.write_text(json.dumps({"items": [item("k", b"many")]}))
    world.person("plain")
    token, _ = world.token_for("plain", ["sign"])
    size = world.log_size()
    done = subprocess.run(
        [
            "h2load",
            "-n",
            "800",
            "-c",
            "4",
            "-m",
            "32",
            "-d",
            str(path),
            "-H",
            "content-type: application/json",
            "-H",
            f"authorization: Bearer {token.token}",
            f"{world.server.url}/v1/sign",
        ],
        capture_output=True,
        text=True,
        timeout=SOON,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    assert "800 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout
    assert "800 2xx" in done.stdout, done.stdout
    assert world.log_size() == size + 1600


# row 27
def test_more_than_one_principal_may_have_in_work():
    """Calls of one principal are bounded; the others are told to come back, and nobody else
    notices."""
    with running_world(max_calls_per_principal=4) as small:
        small.admin.key("k")
        small.admin.policy()
        small.person("plain")
        token, _ = small.token_for("plain", ["sign"])
        path = small.folder / "body.json"
        path.write_text(json.dumps({"items": [item("k", b"%d" % i) for i in range(50)]}))
        done = subprocess.run(
            [
                "h2load",
                "-n",
                "200",
                "-c",
                "2",
                "-m",
                "32",
                "-d",
                str(path),
                "-H",
                "content-type: application/json",
                "-H",
                f"authorization: Bearer {token.token}",
                f"{small.server.url}/v1/sign",
            ],
            capture_output=True,
            text=True,
            timeout=SOON,
            check=False,
            env=environment(),
        )
        assert done.returncode == 0 and "0 errored, 0 timeout" in done.stdout, done.stdout
        codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", done.stdout)
        good, _, turned, failed = map(int, codes.groups())
        assert good >= 1 and turned >= 1 and failed == 0 and good + turned == 200, done.stdout
        ok(small.admin.sign("k"))
        small.works()
