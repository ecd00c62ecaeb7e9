# SPDX-License-Identifier: MIT
"""Requests that are wrong as bytes, as HTTP and as JSON, sent by a principal who may sign: each
gets a clear error, changes nothing, and the server goes on."""

import socket
import ssl
import time

import pytest

from api import Api, ok, refused, running_world, world

DIGEST = "aa" * 32
ITEM = '{"key":"k","algorithm":"ecdsa-sha256","hashed_by":"client","digest":"' + DIGEST + '"}'
GOOD = '{"items":[' + ITEM + "]}"


def post(world, text, **headers):
    content = text if isinstance(text, bytes) else text.encode()
    return world.admin.post("/v1/sign", raw=content, headers=headers)


def test_the_good_request_is_good(world):
    ok(post(world, GOOD))


# --- JSON ---

JSON_WRONG = {
    "empty object": "{}",
    "no object": "[]",
    "a number": "7",
    "null": "null",
    "nothing but blanks": "   ",
    "cut off": GOOD[:-1],
    "two documents": GOOD + GOOD,
    "trailing text": GOOD + "x",
    "a comment": "/* */" + GOOD,
    "a trailing comma": '{"items":[' + ITEM + ",]}",
    "single quotes": GOOD.replace('"', "'"),
    "NaN": GOOD.replace('"' + DIGEST + '"', "NaN"),
    "a name twice": '{"items":[' + ITEM + '],"items":[' + ITEM + "]}",
    "a name twice inside": GOOD.replace('"key":"k"', '"key":"nothing","key":"k"'),
    "an unknown name": GOOD[:-1] + ',"please":true}',
    "an unknown name inside": GOOD.replace('"key":"k"', '"key":"k","admin":true'),
    "another case of a name": GOOD.replace('"key"', '"Key"'),
    "a name with NUL": GOOD.replace('"key"', '"key\\u0000"'),
    "a list for an object": '{"items":[[]]}',
    "an object for a list": '{"items":' + ITEM + "}",
    "a number for a text": GOOD.replace('"k"', "7"),
    "null for a text": GOOD.replace('"k"', "null"),
    "a text for a list": '{"items":"k"}',
    "a list for a text": GOOD.replace('"k"', '["k"]'),
    "a number for a reason": GOOD[:-1] + ',"reason":1}',
    "labels that are no map": GOOD[:-1] + ',"labels":["a"]}',
    "labels that are no texts": GOOD[:-1] + ',"labels":{"a":1}}',
    "NUL in a text, escaped": GOOD.replace('"k"', '"k\\u0000"'),
    "NUL in a text": GOOD.replace('"k"', '"k\0"'),
    "NUL behind": GOOD + "\0",
    "a control character": GOOD[:-1] + ',"reason":"a\\u001bb"}',
    "a line feed in a line": GOOD[:-1] + ',"reason":"a\\nb"}',
    "half a surrogate": GOOD[:-1] + ',"reason":"\\ud800"}',
    "invalid UTF-8": GOOD[:-1].encode() + b',"reason":"\xff"}',
    "overlong UTF-8": GOOD[:-1].encode() + b',"reason":"\xc0\xaf"}',
    "UTF-16": GOOD.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
    "a size that is a fraction": GOOD.replace('"key"', '"artifact":{"size_bytes":1.5},"key"'),
    "a size past 64 bits": GOOD.replace('"key"', '"artifact":{"size_bytes":1e30},"key"'),
    "base 64 that is none": GOOD.replace('"key"', '"content":"*","key"'),
    "base 64 without padding": GOOD.replace('"key"', '"content":"YQ","key"'),
    "base 64 with bits left": GOOD.replace('"key"', '"content":"YR==","key"'),
}


@pytest.mark.parametrize("name", JSON_WRONG)
def test_json_that_is_wrong(world, name):
    with world.unchanged():
        refused(post(world, JSON_WRONG[name]), 400, "malformed")


def test_json_numbers_out_of_their_bounds(world):
    for size in (-1, 1 << 63):
        with world.unchanged():
            text = GOOD.replace('"key"', f'"artifact":{{"size_bytes":{size}}},"key"')
            answer = post(world, text)
            assert answer.status in (400, 413), answer


@pytest.mark.parametrize("opening,closing", [("[", "]"), ('{"a":', "}")])
def test_json_nested_ten_thousand_deep(world, opening, closing):
    for text in (
        opening * 10000,
        opening * 10000 + "1" + closing * 10000,
        '{"items":' + opening * 10000 + "1" + closing * 10000 + "}",
    ):
        with world.unchanged():
            answer = post(world, text)
            assert answer.status in (400, 413), answer
            refused(answer, answer.status, "malformed" if answer.status == 400 else "over-limit")


def test_json_of_ten_megabytes(world):
    text = GOOD[:-1] + ',"reason":"' + "x" * (10 << 20) + '"}'
    with world.unchanged():
        try:
            refused(post(world, text), 413, "over-limit")
        except (BrokenPipeError, ConnectionError):
            # It was refused by its Content-Length and not read to its end: ask for the answer's
            # bytes.
            world.admin.close()
            raw = world.admin.tls()
            raw.sendall(
                b"POST /v1/sign HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(text)
            )
            assert read_all(raw).startswith(b"HTTP/1.1 413 ")


def test_many_small_members(world):
    text = '{"labels":{' + ",".join(f'"n{i}":""' for i in range(200000)) + "}," + GOOD[1:]
    with world.unchanged():
        answer = post(world, text)
        assert answer.status in (400, 413), answer


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "multipart/form-data; boundary=x",
        "",
    ],
)
def test_a_body_that_does_not_say_it_is_json(world, kind):
    with world.unchanged():
        refused(post(world, GOOD, **{"Content-Type": kind}), 415, "unsupported")


def test_a_parameter_that_is_not_known(world):
    with world.unchanged():
        refused(world.admin.post("/v1/sign?now=1", raw=GOOD.encode()), 400, "malformed")


# --- HTTP ---


def read_all(raw):
    """Until the peer closes; a reset is a close as well."""
    data = b""
    try:
        while chunk := raw.recv(65536):
            data += chunk
    except OSError:
        pass
    raw.close()
    return data


HEAD = b"POST /v1/sign HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(GOOD)
BODY = GOOD.encode()
HTTP_WRONG = {
    "two lengths": HEAD + LENGTH + LENGTH + b"\r\n" + BODY,
    "two lengths that differ": HEAD + LENGTH + b"Content-Length: 1\r\n\r\n" + BODY,
    "a list of lengths": HEAD + b"Content-Length: %d, %d\r\n\r\n" % (len(BODY), len(BODY)) + BODY,
    "a length with a sign": HEAD + b"Content-Length: +%d\r\n\r\n" % len(BODY) + BODY,
    "a length below zero": HEAD + b"Content-Length: -1\r\n\r\n" + BODY,
    "a length in hex": HEAD + b"Content-Length: 0x10\r\n\r\n" + BODY,
    "no number": HEAD + b"Content-Length: ten\r\n\r\n" + BODY,
    "a length past 64 bits": HEAD + b"Content-Length: 18446744073709551617\r\n\r\n" + BODY,
    "length and chunks": HEAD + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n" + BODY,
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
    "an unknown coding": HEAD + LENGTH + b"Transfer-Encoding: gzip\r\n\r\n" + BODY,
    "space before the colon": HEAD + b"Content-Length : %d\r\n\r\n" % len(BODY) + BODY,
    "a folded field": HEAD + LENGTH + b"X: a\r\n b\r\n\r\n" + BODY,
    "no Host": HEAD.replace(b"Host: localhost\r\n", b"") + LENGTH + b"\r\n" + BODY,
    "two Hosts": HEAD + b"Host: other\r\n" + LENGTH + b"\r\n" + BODY,
    "a field without a name": HEAD + LENGTH + b": x\r\n\r\n" + BODY,
    "a field without a colon": HEAD + LENGTH + b"X\r\n\r\n" + BODY,
    "NUL in a field": HEAD + LENGTH + b"X: a\0b\r\n\r\n" + BODY,
    "CR alone": HEAD + LENGTH + b"X: a\rY: b\r\n\r\n" + BODY,
    "LF alone": HEAD.replace(b"\r\n", b"\n") + LENGTH.replace(b"\r\n", b"\n") + b"\n" + BODY,
    "two spaces": HEAD.replace(b"/v1/sign ", b"/v1/sign  ") + LENGTH + b"\r\n" + BODY,
    "a tab": HEAD.replace(b"POST ", b"POST\t") + LENGTH + b"\r\n" + BODY,
    "no version": b"POST /v1/sign\r\nHost: localhost\r\n\r\n",
    "another protocol": HEAD.replace(b"HTTP/1.1", b"HTCPCP/1.1") + LENGTH + b"\r\n" + BODY,
    "a bracket in the target": HEAD.replace(b"/v1/sign", b"/v1/{sign}") + LENGTH + b"\r\n" + BODY,
    "no HTTP at all": b"\x16\x03\x01\x02\x00hello there, this is nothing\r\n\r\n",
}


@pytest.mark.parametrize("name", HTTP_WRONG)
def test_http_that_is_wrong(world, name):
    """One answer, and the connection ends: nothing behind it is taken for a request."""
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with world.unchanged():
        raw = world.admin.tls()
        raw.sendall(HTTP_WRONG[name] + smuggled)
        answer = read_all(raw)
        assert answer.startswith(b"HTTP/1.1 400 "), answer[:300]
        assert answer.count(b"HTTP/1.1 ") == 1, answer


TARGET_WRONG = [
    "/v1/sign%00",
    "/v1/s%zzign",
    "/v1/sign%",
    "/v1/x/../sign",
    "/v1/./sign",
    "//v1/sign",
    "/v1//sign",
    "/v1/sign/",
    "/v1%2fsign",
    "/V1/sign",
    "/v1/sign;x=1",
    "/v1/%73ign%ff",
    "/v1/sign?%ff=1",
    "v1/sign",
    "http://localhost/v1/sign#x",
]


@pytest.mark.parametrize("target", TARGET_WRONG)
def test_targets_that_are_wrong(world, target):
    """HTTP is in order here, so the connection may go on; but nothing is signed."""
    with world.unchanged():
        raw = world.admin.tls()
        raw.sendall(
            HEAD.replace(b"/v1/sign", target.encode())
            + LENGTH
            + b"Connection: close\r\n\r\n"
            + BODY
        )
        answer = read_all(raw)
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 ")), answer[:300]
        assert b"application/problem+json" in answer


def test_an_endless_header(world):
    for part in (b"X-%d: y\r\n", b"X: " + b"y" * 60000 + b"%d\r\n"):
        with world.unchanged():
            raw = world.admin.tls()
            answer = b""
            try:
                raw.sendall(HEAD)
                for i in range(2000):
                    raw.sendall(part % i)
            except OSError:
                pass
            answer = read_all(raw)
            # The answer may be lost when we were still writing: then the connection ended without
            # one.
            assert answer == b"" or answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")), answer[
                :200
            ]


def test_a_target_that_is_too_long(world):
    with world.unchanged():
        answer = world.admin.get("/v1/keys/" + "k" * 5000)
        assert answer.status in (400, 413, 414), answer


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "post"])
def test_methods_that_nobody_serves(world, method):
    with world.unchanged():
        answer = world.admin.call(method, "/v1/sign", raw=b"")
        assert answer.status in (400, 405, 501), answer
        world.admin.close()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_method_that_is_not_for_this_path(world, method):
    with world.unchanged():
        answer = world.admin.call(method, "/v1/sign")
        refused(answer, 405, "unsupported")
        assert answer.headers["allow"] == "POST"


def test_tls_of_the_past_and_plain_http(world):
    context = world.nobody.context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with world.unchanged():
        with socket.create_connection(world.address, timeout=30) as plain:
            with pytest.raises(ssl.SSLError):
                context.wrap_socket(plain, server_hostname="127.0.0.1")
        with socket.create_connection(world.address, timeout=30) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert not read_all(plain).startswith(b"HTTP/1.1 200")


# --- slow clients ---


@pytest.fixture(scope="module")
def hurried():
    """A server that waits for nobody."""
    with running_world(
        header_timeout_ms=500, body_timeout_ms=700, idle_timeout_ms=600, max_connections=8
    ) as made:
        made.admin.key("k")
        made.admin.policy()
        yield made


def dribble(raw, data, pause_s):
    """Send a byte at a time until all is sent or the peer hangs up; how long that took."""
    begin = time.monotonic()
    try:
        for i in range(len(data)):
            raw.sendall(data[i : i + 1])
            time.sleep(pause_s)
    except OSError:
        pass
    return time.monotonic() - begin


@pytest.mark.parametrize(
    "name,data",
    [
        ("a header that never ends", HEAD + LENGTH + b"X-Slow: " + b"y" * 400),
        ("a body that never ends", HEAD + b"Content-Length: 1000000\r\n\r\n" + BODY),
    ],
)
def test_a_slow_client_is_let_go(hurried, name, data):
    raw = hurried.admin.tls()
    head = data.find(b"\r\n\r\n")
    with hurried.unchanged():
        if head >= 0:
            raw.sendall(data[: head + 4])
            data = data[head + 4 :]
        took = dribble(raw, data, 0.05)
        assert took < 20, "a deadline that each byte moves on is none"
        answer = read_all(raw)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 408 "), (name, answer)


def test_a_connection_that_asks_nothing_is_closed(hurried):
    raw = hurried.admin.tls()
    begin = time.monotonic()
    assert read_all(raw) == b""
    assert time.monotonic() - begin < 20


def test_a_handshake_that_is_never_made_is_closed(hurried):
    with socket.create_connection(hurried.address, timeout=60) as plain:
        plain.sendall(b"\x16\x03\x01")
        begin = time.monotonic()
        read_all(plain)
        assert time.monotonic() - begin < 20


# row 27
def test_more_connections_than_are_allowed_do_not_keep_others_out(hurried):
    """Those that are idle make room."""
    held = []
    try:
        for _ in range(40):
            held.append(socket.create_connection(hurried.address, timeout=60))
        deadline = time.monotonic() + 30
        while True:
            api = Api(hurried, hurried.admin.identity)
            try:
                assert ok(api.sign("k"))["results"][0]["is_signed"]
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            finally:
                api.close()
    finally:
        for connection in held:
            connection.close()
    hurried.works()
