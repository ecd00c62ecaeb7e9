# SPDX-License-Identifier: MIT
"""`chancery doctor` and `chanceryd doctor`: each trouble is found, named, and told how to mend."""

import json
import os
import shutil

import pytest

from conftest import CHANCERY, POLICY, chanceryd, environment, run


def doctor(client, *arguments, **variables):
    """Findings of a client by the check's name, and the exit code."""
    done = run(CHANCERY, "doctor", "--json", *arguments, check=False,
               env=environment(HOME=str(client.home), **variables))
    report = json.loads(done.stdout)
    assert report["is_well"] == (done.returncode == 0), done
    assert done.returncode in (0, 1), done
    return report["findings"]


def of(findings, check, state=None):
    return [f for f in findings if f["check"] == check and state in (None, f["state"])]


def only(findings, check):
    found = of(findings, check)
    assert len(found) == 1, findings
    return found[0]


def server_doctor(server, code=None):
    done = chanceryd("doctor", "--config", server.config, "--json", check=False)
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["is_well"] else 1), done
    if code is not None:
        assert done.returncode == code, report
    return report["findings"]


# --- a client ---

def test_client__all_is_well(signing):
    findings = doctor(signing)
    for check in ("configuration", "credential", "server", "clock", "log", "login", "keys",
                  "tokens", "policy"):
        assert of(findings, check, "ok"), (check, json.dumps(findings, indent=1))
    assert not of(findings, "signature")  # nothing is signed unless asked for
    assert "you are \"admin\"" in only(findings, "login")["text"]


def test_client__for_people(signing):
    done = signing.run("doctor", check=False)
    assert "\nok       clock          the server's and ours agree\n" in done.stdout


def test_client__a_signature_is_made_and_logged(signing):
    finding = only(doctor(signing, "--sign", "k"), "signature")
    assert finding["state"] == "ok"
    index = int(finding["text"].rsplit(" ", 1)[1])
    assert signing.json("log", "show", str(index))["key"] == "k"


def test_client__a_signature_that_policy_refuses(admin):
    admin.key()
    finding = only(doctor(admin, "--sign", "k"), "signature")
    assert finding["state"] == "problem"
    assert "k" in finding["text"]


def test_client__nothing_is_configured(folder):
    home = folder / "home"
    home.mkdir()
    done = run(CHANCERY, "doctor", "--json", check=False, env=environment(HOME=str(home)))
    assert done.returncode == 1
    finding = only(json.loads(done.stdout)["findings"], "configuration")
    assert finding["state"] == "problem"
    assert "chancery enroll" in finding["mend"]


def test_client__a_broken_configuration(signing):
    config = signing.home / ".config/chancery/config.yaml"
    config.write_text(config.read_text() + "nonsense: 1\n")
    finding = only(doctor(signing), "configuration")
    assert finding["state"] == "problem"
    assert "nonsense" in finding["text"]


def test_client__the_server_is_away(server, signing):
    server.stop()
    findings = doctor(signing)
    finding = only(findings, "server")
    assert finding["state"] == "problem"
    assert "server runs" in finding["mend"]
    assert not of(findings, "login")  # nothing can be said of it


def test_client__another_server_in_its_place(server, signing):
    config = signing.home / ".config/chancery/config.yaml"
    lines = config.read_text().splitlines()
    pin = next(line for line in lines if "pin:" in line)
    config.write_text(config.read_text().replace(pin, pin[:pin.index(":")] + ': "' + "A" * 43
                                                 + '="'))
    finding = only(doctor(signing), "server")
    assert finding["state"] == "problem"
    assert "new key" in finding["mend"]


def test_client__another_log(signing):
    config = signing.home / ".config/chancery/config.yaml"
    other = "other.example+00000000+" + "A" * 43
    lines = [line if "log_key:" not in line else f'    log_key: "{other}"'
             for line in config.read_text().splitlines()]
    config.write_text("\n".join(lines) + "\n")
    assert only(doctor(signing), "log")["state"] == "problem"


def test_client__a_token_has_no_key_of_the_log(server, signing, folder):
    """It is no trouble, but for who keeps receipts; then the key is told."""
    made = signing.json("users", "add-token", "admin", "--scope", "*")
    (folder / "empty").mkdir()
    login = {"CHANCERY_TOKEN": made["token"], "CHANCERY_URL": signing.url,
             "CHANCERY_CA": str(server.data / "tls/certificate.pem")}

    def look(**more):
        done = run(CHANCERY, "doctor", "--json", check=False,
                   env=environment(HOME=str(folder / "empty"), **login, **more))
        return only(json.loads(done.stdout)["findings"], "log")
    assert look()["state"] == "ok"
    found = look(CHANCERY_RECEIPTS=str(folder))
    kept = (signing.home / ".config/chancery/config.yaml").read_text()
    assert found["state"] == "warning" and "log_key" in found["mend"]
    assert found["text"].rsplit(" ", 1)[1] in kept  # as who enrolled has it


def test_client__a_key_file_that_others_read(signing):
    (signing.home / ".config/chancery/default.pem").chmod(0o644)
    findings = doctor(signing)
    finding = only(findings, "credential")
    assert finding["state"] == "problem"
    assert "chmod 600" in finding["mend"]


def test_client__no_key_may_be_used(admin):
    finding = only(doctor(admin), "keys")
    assert finding["state"] == "warning"
    assert "policies test" in finding["mend"]


def test_client__ed25519_keys_are_hidden_from_tools(signing):
    signing.key("e", "ed25519")
    assert any("Ed25519" in f["text"] for f in of(doctor(signing), "keys"))


def test_client__policy_would_not_sign(signing):
    signing.policy("version: 1\nrules:\n  - name: others\n    effect: allow\n"
                   "    match: {algorithm: ecdsa-sha384}\n")
    finding = only(doctor(signing), "policy")
    assert finding["state"] == "warning"
    assert finding["text"].startswith("k would not sign a sample: ")


def test_client__a_module_that_is_none(signing, folder):
    (folder / "none.so").write_text("this is no library")
    finding = only(doctor(signing, CHANCERY_MODULE=str(folder / "none.so")), "module")
    assert finding["state"] == "problem"
    finding = only(doctor(signing, CHANCERY_MODULE="/usr/lib/softhsm/libsofthsm2.so"), "module")
    assert finding["state"] == "ok"


def test_client__a_provider_that_is_none(signing, folder):
    (folder / "none.so").write_text("this is no library")
    for path in (folder / "none.so", folder / "nowhere.so"):
        finding = only(doctor(signing, CHANCERY_PROVIDER=str(path)), "provider")
        assert finding["state"] == "problem" and str(path) in finding["text"]


def test_client__an_agent_that_was_named_and_is_away(signing):
    finding = only(doctor(signing, CHANCERY_AGENT_SOCK="/no/such/agent.sock"), "agent")
    assert finding["state"] == "problem"
    assert "/no/such/agent.sock" in finding["text"]


# --- a server ---

def test_server__all_is_well(server):
    findings = server_doctor(server, 0)
    for check in ("configuration", "files", "disk", "tls", "store", "tokens"):
        assert [f["state"] for f in of(findings, check)] == ["ok"], findings
    assert "a server runs" in only(findings, "server")["text"]


def test_server__looking_changes_nothing(server):
    def state():
        return {path: path.stat().st_ctime_ns for path in sorted(server.data.rglob("*"))
                if "store" not in path.parts}
    server.stop()
    before = state()
    findings = server_doctor(server, 0)
    assert state() == before
    assert only(findings, "server")["state"] == "warning"
    server.start()


def test_server__for_people(server):
    done = chanceryd("doctor", "--config", server.config)
    assert "\nok       files          what is secret is closed to others\n" in done.stdout


def test_server__a_wrong_configuration(server):
    server.config.write_text(server.config.read_text() + "\nnonsense: 1\n")
    findings = server_doctor(server, 1)
    assert len(findings) == 1
    assert "nonsense" in findings[0]["text"]
    assert "chanceryd.yaml(5)" in findings[0]["mend"]


def test_server__open_to_others(server):
    (server.data / "tls").chmod(0o755)
    (server.data / "store").chmod(0o777)
    found = of(server_doctor(server, 1), "files")
    assert [f["state"] for f in found] == ["problem", "problem"]
    assert "tls" in found[0]["text"] and "store" in found[1]["text"]


def test_server__a_part_is_gone(server):
    server.stop()
    shutil.rmtree(server.data / "anchor")
    found = of(server_doctor(server, 1), "files")
    assert "anchor" in found[0]["text"] and "restore" in found[0]["mend"]


def certificate_for(server, days):
    key = server.data / "tls/key.pem"
    run("openssl", "req", "-x509", "-key", key, "-subj", "/CN=x", "-days", str(days), "-out",
        server.data / "tls/certificate.pem")


def test_server__a_certificate_that_ends_soon(server):
    certificate_for(server, 3)
    finding = only(server_doctor(server, 0), "tls")
    assert finding["state"] == "warning"
    assert "ends in 2 days" in finding["text"]


def test_server__a_module_that_does_not_load(server):
    broken = server.data / "broken.so"
    broken.write_text("this is no library")
    broken.chmod(0o644)
    for name, value in ("module", broken), ("slot_label", "soft"), ("software", "true"):
        server.set(name, value)
    finding = only(server_doctor(server, 1), "tokens")
    assert "broken.so" in finding["text"]


def test_server__a_store_that_is_none(server):
    server.stop()
    store = server.data / "store/chancery.db"
    store.write_bytes(os.urandom(store.stat().st_size))
    finding = only(server_doctor(server, 1), "store")
    assert "restore" in finding["mend"]


@pytest.mark.parametrize("words", [["doctor"], ["doctor", "--config"], ["doctor", "--data", "x"]])
def test_server__wrong_use(words):
    assert chanceryd(*words, check=False).returncode == 2
