# SPDX-License-Identifier: MIT
"""Setting up, starting, reloading and stopping a server."""

import json
import os
import pathlib
import pwd
import re
import signal
import socket
import ssl
import stat
import subprocess
import shutil

import pytest

from conftest import CHANCERYD, POLICY, SOON, SOURCE, chanceryd, run

AS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not AS_ROOT, reason="needs root")


def connect(server):
    host, port = server.url[len("https://"):].rsplit(":", 1)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    plain = socket.create_connection((host, int(port)), timeout=SOON)
    return context.wrap_socket(plain, server_hostname="localhost")


def certificate_of(server):
    with connect(server) as tls:
        return tls.getpeercert(binary_form=True)


def new_certificate(server, name="localhost"):
    """Put another certificate and key in the place of the server's."""
    tls = server.data / "tls"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-noenc", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
        "-keyout", tls / "new.key", "-out", tls / "new.pem")
    (tls / "new.key").chmod(0o600)
    (tls / "new.key").rename(tls / "key.pem")
    (tls / "new.pem").rename(tls / "certificate.pem")


# --- the command line ---

def test_version():
    assert re.fullmatch(r"chanceryd \d+\.\d+\.\d+\n", chanceryd("--version").stdout)


def test_every_option_is_in_the_manual():
    options = set(re.findall(r"--([a-z-]+)", chanceryd("--help").stdout))
    manual = (SOURCE / "man/chanceryd.8").read_text()
    assert options == set(re.findall(r"Fl -([a-z-]+)", manual))


@pytest.mark.parametrize("arguments, text", [
    ([], "--config is needed"),
    (["--confg", "x"], "takes no --confg"),
    (["--config"], "--config wants a value"),
    (["--config", "a", "--config", "b"], "given twice"),
    (["destroy"], 'no command "destroy"'),
    (["init"], "--data is needed"),
    (["init", "--data", "x", "--from", "y"], "init takes no --from"),
    (["init", "--data", "x", "--json=yes"], "--json takes no value"),
    (["backup", "--to", "x"], "--config or --data is needed"),
    (["backup", "--to", "x", "--config", "a", "--data", "b"], "only one of"),
    (["check", "--config", "x", "y"], '"y" is not an option'),
])
def test_wrong_use(arguments, text):
    done = chanceryd(*arguments, check=False)
    assert done.returncode == 2
    assert text in done.stderr
    assert done.stdout == ""


def test_a_role_is_not_for_people():
    done = chanceryd("@signer", check=False, stdin=subprocess.DEVNULL)
    assert done.returncode != 0
    assert chanceryd("@nothing", check=False).returncode == 3


# --- init ---

def test_init__a_second_time_changes_nothing(make_server):
    server = make_server()
    before = {path: path.read_bytes() for path in server.data.rglob("*") if path.is_file()}
    done = chanceryd("init", "--data", server.data, check=False)
    assert done.returncode == 1
    assert "is not empty" in done.stderr
    assert before == {path: path.read_bytes() for path in server.data.rglob("*") if path.is_file()}


def test_init__an_empty_folder_will_do(folder):
    (folder / "data").mkdir()
    chanceryd("init", "--data", folder / "data")
    assert (folder / "data/chanceryd.yaml").exists()


def test_init__a_failure_leaves_nothing(folder):
    # SoftHSM's own configuration cannot name such a folder, which shows when most is made.
    done = chanceryd("init", "--data", folder / "with\nline feed", check=False)
    assert done.returncode == 2
    assert list(folder.iterdir()) == []
    (folder / "empty\nbefore").mkdir()
    done = chanceryd("init", "--data", folder / "empty\nbefore", check=False)
    assert done.returncode == 2
    assert list(folder.rglob("*")) == [folder / "empty\nbefore"]


@pytest.mark.parametrize("arguments, text", [
    (["--listen", "localhost:8443"], "is no IP address"),
    (["--listen", "127.0.0.1"], "is no address"),
    (["--name", "no name"], "neither a DNS name nor an IP address"),
    (["--name", "-x"], "neither a DNS name nor an IP address"),
])
def test_init__refuses(folder, arguments, text):
    done = chanceryd("init", "--data", folder / "data", *arguments, check=False)
    assert done.returncode == 2
    assert text in done.stderr
    assert not (folder / "data").exists()


def test_init__the_certificate_has_the_names(make_server):
    server = make_server("--name", "sign.example.org", "--name", "192.0.2.7")
    text = run("openssl", "x509", "-in", server.made["certificate"], "-noout", "-ext",
               "subjectAltName").stdout
    for name in ("DNS:sign.example.org", "IP Address:192.0.2.7", "DNS:localhost",
                 "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1"):
        assert name in text


def test_init__says_what_to_do_and_no_secret(folder):
    done = chanceryd("init", "--data", folder / "data")
    pin = (folder / "data/secrets/soft.pin").read_text().strip()
    assert pin not in done.stdout + done.stderr
    for text in ("chanceryd --config", "chancery enroll", "Back them up", "software token",
                 str(folder / "data/tokens/soft"), str(folder / "data/secrets/soft.pin")):
        assert text in done.stdout
    # The code says where the server is.
    assert re.search(r"\n  chy1\.[\w-]{43}\.[\w-]{27}\.[\w-]+\n", done.stdout)


def test_init__files_belong_to_whom_they_must(make_server):
    server = make_server()
    modes = {str(path.relative_to(server.data)): path.stat() for path in server.data.rglob("*")}
    me = os.geteuid()
    for name, status in modes.items():
        mode = stat.S_IMODE(status.st_mode)
        assert mode & 0o007 == (0o001 if name == "tokens" and AS_ROOT else 0), name
        if not AS_ROOT:
            assert (status.st_uid, mode & 0o077) == (me, 0), name
    if AS_ROOT:
        uid = {name: pwd.getpwnam(f"chancery-{name}").pw_uid for name in ("signer", "token")}
        query = pwd.getpwnam("chancery-query").pw_gid
        assert modes["store"].st_uid == modes["store/chancery.db"].st_uid == uid["signer"]
        assert modes["store"].st_gid == modes["store/chancery.db"].st_gid == query
        assert stat.S_IMODE(modes["store"].st_mode) == 0o2750
        for name in ("tokens/soft", "tokens/soft/softhsm2.conf", "tokens/soft/tokens"):
            assert modes[name].st_uid == uid["token"], name
        for name in ("tls/key.pem", "secrets/soft.pin", "chanceryd.yaml"):
            assert (modes[name].st_uid, stat.S_IMODE(modes[name].st_mode)) == (0, 0o600), name


def test_init__two_servers_have_nothing_in_common(make_server):
    one, two = make_server(), make_server()
    assert one.made["server_pin"] != two.made["server_pin"]
    assert one.made["enrolment_code"] != two.made["enrolment_code"]
    pins = {(server.data / "secrets/soft.pin").read_text() for server in (one, two)}
    assert len(pins) == 2
    origin = re.compile(r"^  origin: (.*)$", re.M)
    assert origin.search(one.config.read_text())[1] != origin.search(two.config.read_text())[1]


# --- configuration ---

def test_check(make_server):
    server = make_server()
    done = chanceryd("check", "--config", server.config)
    assert done.stdout == f"{server.config} is right\n"


@pytest.mark.parametrize("line, text", [
    ("lissten: x", "lissten"),
    ("node: [a, b]", "node"),
    ("limits: {max_calls: 0}", "limits.max_calls"),
    ("limits: {max_calls: 99999999999}", "limits.max_calls"),
    ("tls: {key: key.pem}", "tls.key"),
    ("default_token: other", "default_token"),
    ("data: /elsewhere", "data"),
    ("node: *x", ""),
])
def test_a_wrong_configuration_is_told_with_its_line(make_server, line, text):
    server = make_server()
    before = server.config.read_text()
    server.config.write_text(before + line + "\n")
    number = before.count("\n") + 1
    for arguments in (["check", "--config", server.config], ["--config", server.config]):
        done = chanceryd(*arguments, check=False)
        assert done.returncode == 2
        assert f"{server.config}: line {number}: " in done.stderr
        assert text in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_configuration_that_is_not_there(folder):
    done = chanceryd("--config", folder / "nothing.yaml", check=False)
    assert done.returncode == 1
    assert "nothing.yaml" in done.stderr


@pytest.mark.parametrize("name", ["tls/key.pem", "secrets/soft.pin"])
def test_a_secret_that_others_can_read_is_refused(make_server, name):
    server = make_server()
    (server.data / name).chmod(0o640)
    done = chanceryd("--config", server.config, check=False)
    assert done.returncode == 1
    assert name in done.stderr and "0640" in done.stderr


def test_an_address_in_use_is_told(make_server):
    server = make_server()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server.set("listen", f'["{address}"]')
        done = chanceryd("--config", server.config, check=False)
    assert done.returncode == 1
    assert address in done.stderr


# --- starting and stopping ---

def test_a_data_directory_has_one_server(server):
    done = chanceryd("--config", server.config, check=False)
    assert done.returncode == 3
    assert f"{server.data} is in use" in done.stderr
    assert f"locked by process {server.process.pid}" in done.stderr
    server.wait_ready()


def test_start_again__keys_log_and_clients_are_the_same(make_server):
    server = make_server().start()
    admin = server.admin()
    admin.key()
    admin.policy()
    admin.sign()
    public_key = admin.public_key("k").read_text()
    before = admin.json("log", "list")["entries"]
    server.stop()
    server.start()
    admin.at(server.url)
    assert admin.public_key("k").read_text() == public_key
    admin.sign()
    after = admin.json("log", "list")["entries"]
    assert after[:len(before)] == before
    assert len(after) > len(before)


def test_the_enrolment_code_works_once(server):
    server.admin()
    done = server.client("second").enroll(server.made["enrolment_code"], check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_the_administrators_birth_is_logged(admin):
    entries = admin.json("log", "list")["entries"]
    text = json.dumps(entries)
    assert "server-start" in text or "server.start" in text
    assert "admin" in text


def test_stop__what_is_in_flight_is_answered(server):
    body = b'{"code": "none", "csr": "none"}'
    with connect(server) as tls:
        tls.sendall(b"POST /v1/enroll HTTP/1.1\r\nHost: localhost\r\nChancery-Api: 1\r\n"
                    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        tls.sendall(body[:5])
        # An answer on a second connection shows that front has read what came before on the first.
        with connect(server) as other:
            other.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert other.recv(4096).startswith(b"HTTP/1.1 200")
        server.signal(signal.SIGTERM)
        server.wait_event("server.stopping")
        tls.sendall(body[5:])
        answer = tls.recv(65536)
    assert answer.startswith(b"HTTP/1.1 4"), answer
    assert server.wait_end() == 0
    assert "server.killed" not in server.log()


def test_stop__twice_in_a_row(server):
    server.signal(signal.SIGTERM)
    server.signal(signal.SIGTERM)
    assert server.wait_end() == 0


def test_interrupt_ends_the_server_as_well(server):
    server.signal(signal.SIGINT)
    assert server.wait_end() == 0


# --- reload ---

def test_reload__the_certificate(server, admin):
    before = certificate_of(server)
    new_certificate(server)
    server.signal(signal.SIGHUP)
    server.wait_event("server.reloaded")
    # Front takes it between two connections.
    for _ in range(1000):
        if certificate_of(server) != before:
            break
    expected = ssl.PEM_cert_to_DER_cert((server.data / "tls/certificate.pem").read_text())
    assert certificate_of(server) == expected
    assert "server.new_tls_key" in server.log()
    # The client holds the old key by its pin, and must not take the new one.
    done = admin.run("whoami", check=False)
    assert done.returncode != 0
    assert "pinned" in done.stderr


def test_reload__a_wrong_configuration_changes_nothing(server, admin):
    before = certificate_of(server)
    new_certificate(server)
    good = server.config.read_text()
    server.config.write_text(good + "nonsense: 1\n")
    server.signal(signal.SIGHUP)
    line = server.wait_event("server.not_reloaded")
    assert f"line {good.count(chr(10)) + 1}: " in line["error_text"]
    assert "nonsense" in line["error_text"]
    assert certificate_of(server) == before
    admin.run("whoami")


def test_reload__a_key_of_another_certificate_changes_nothing(server):
    before = certificate_of(server)
    old = (server.data / "tls/key.pem").read_bytes()
    new_certificate(server)
    (server.data / "tls/key.pem").write_bytes(old)
    server.signal(signal.SIGHUP)
    server.wait_event("server.not_reloaded")
    assert certificate_of(server) == before


def test_reload__says_what_needs_a_restart(server):
    server.set("max_calls", "100")
    server.set("log_level", "info")
    server.signal(signal.SIGHUP)
    assert server.wait_event("server.restart_needed")["settings"] == "limits.max_calls, log_level"
    server.wait_event("server.reloaded")


# --- another user ---

@needs_root
def test_an_ordinary_user_runs_his_own_server(make_server, folder):
    # The build may stand where he cannot go.
    program = folder / "chanceryd"
    shutil.copy(CHANCERYD, program)
    program.chmod(0o755)
    server = make_server(user="nobody", program=program)
    assert server.data.owner() == "nobody"
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    server.start()
    admin = server.admin()
    admin.key()
    admin.policy(POLICY)
    admin.sign()
    nobody = pwd.getpwnam("nobody").pw_uid
    assert len(server.processes()) >= 5
    for pid in server.processes():
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"^Uid:(\t%d){4}$" % nobody, status, re.M)
    server.stop()
