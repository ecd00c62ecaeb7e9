# SPDX-License-Identifier: MIT
"""The templates of examples/ci: their steps that sign and verify are run as they stand, as a build
job has them: with an API token, in a checkout of a product's repository, at an empty home."""

import base64
import hashlib
import re
import shlex
import shutil
import subprocess
import zipfile

import pytest

import tiny_pe
from ci_templates import FOLDER, TEMPLATES, TOKEN, Step
from evidence import broken
from signer import CHANCERY, MODULE, SOON, need
from test_pkcs11_java import jar

JOBS = ["build", "test", "sign", "verify"]
SERVER = "https://sign.example.org:8443"
STAMPS = "http://timestamp.example.org"
GIVE_TO_WHOLE_JOBS = ("gitlab-ci.yml", "Jenkinsfile")
ARTIFACTS = ("app.exe", "app.jar", "app.tar")


def blocks_of_readme():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    return [block.replace("\\\n", "").splitlines()
            for block in re.findall(r"^```sh\n(.*?)^```$", text, re.S | re.M)]


class Workspace:
    """What a runner has: the product's checkout, with dist/ as the build left it."""

    def __init__(self, keys, tsa, folder, token):
        self.keys, self.tsa, self.folder, self.token = keys, tsa, folder, token
        for name in ("dist", "signing", "home"):
            (folder / name).mkdir(parents=True)
        self._fill()
        self.unsigned = {name: (folder / "dist" / name).read_bytes() for name in ARTIFACTS}

    def _fill(self):
        dist, signing = self.folder / "dist", self.folder / "signing"
        # Other files for each template: else the log could be right because of another's run.
        mark = self.folder.name.encode()
        shutil.copy(jar(self.keys, "ci.jar"), dist / "app.jar")
        with zipfile.ZipFile(dist / "app.jar", "a") as archive:
            archive.writestr("mark.txt", mark)
        (dist / "app.exe").write_bytes(tiny_pe.tiny_pe() + mark.ljust(64, b"\0"))
        (dist / "app.tar").write_bytes(b"what is delivered by " + mark + b"\n")
        shutil.copy(self.keys.server.data / "tls/certificate.pem", signing / "server.pem")
        shutil.copy(self.keys.home / "ca.pem", signing / "code-signing-ca.pem")
        shutil.copy(self.tsa.ca, signing / "time-stamp-ca.pem")
        (signing / "trust.yaml").write_text(self._trust())

    def _trust(self):
        """The example, with this server's log and this certificate's name."""
        profile = (self.keys.home / ".config/chancery/config.yaml").read_text()
        text = (FOLDER / "trust.yaml").read_text().replace("Example Release", "Test release")
        log_key = re.search(r'log_key: "?([^"\n]+)', profile).group(1)
        return re.sub(r"^log_keys: .*$", f"log_keys: {log_key}", text, flags=re.M)

    def step(self, step):
        """One step, as the systems run it: by a shell of its own that knows nothing of the last."""
        swap = {TOKEN: self.token, SERVER: self.keys.server.url, STAMPS: self.tsa.url}
        env = self.keys.env(CHANCERY_MODULE=str(MODULE))
        env.update({name: swap.get(value, value) for name, value in step.env.items()})
        env.update({"HOME": str(self.folder / "home"),
                    "PATH": f"{CHANCERY.parent}:{env['PATH']}"})
        del env["XDG_RUNTIME_DIR"]
        done = subprocess.run(["bash", "-e", "-c", step.command], cwd=self.folder, env=env,
                              capture_output=True, text=True, timeout=4 * SOON, check=False,
                              stdin=subprocess.DEVNULL)
        assert self.token not in done.stdout + done.stderr
        return done

    def steps(self, steps):
        for step in steps:
            done = self.step(step)
            assert done.returncode == 0, f"{step.command}\n{done.stdout}{done.stderr}"

    def log_of(self, name):
        """The entries about a file as the build left it."""
        digest = hashlib.sha256(self.unsigned[name]).hexdigest()
        return self.keys.log(digest=digest, key="release")


@pytest.fixture(name="token", scope="module")
def fixture_token(release):
    """As README.md has it made."""
    _, make, *_ = blocks_of_readme()
    assert make[0].startswith("chancery users create ")
    for line in make:
        release.admin.run(*shlex.split(line)[1:])
    return (release.home / "ci.token").read_text().strip()


@pytest.fixture(name="signed", scope="module")
def fixture_signed(release, tsa, token, tmp_path_factory):
    """signed(template): its workspace after the job sign; made once."""
    need("jarsigner", "osslsigncode")
    made = {}

    def make(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("ci") / name
            made[name] = Workspace(release, tsa, folder, token)
            made[name].steps(TEMPLATES[name]()["sign"])
        return made[name]

    return make


# --- what stands in them ---

@pytest.mark.parametrize("name", TEMPLATES)
def test_jobs(name):
    """The token is where something is signed, and nowhere else."""
    jobs = TEMPLATES[name]()
    assert list(jobs) == JOBS
    assert [step.command for step in jobs["build"]] == ["make dist"]
    assert [step.command for step in jobs["test"]] == ["make check"]
    for job, steps in jobs.items():
        for step in steps:
            has_token = step.env.get("CHANCERY_TOKEN") == TOKEN
            if job == "sign" and step.command.startswith("chancery "):
                assert has_token, step
            else:
                assert not has_token or (job == "sign" and name in GIVE_TO_WHOLE_JOBS), step
            assert (step.env.get("CHANCERY_URL") == SERVER) == (job == "sign"), step
    assert "CHANCERY_TOKEN" not in "".join(s.command for steps in jobs.values() for s in steps)


def test_the_same_commands_in_all():
    commands = [[step.command for job in ("sign", "verify") for step in make()[job]]
                for make in TEMPLATES.values()]
    assert commands == [blocks_of_readme()[0]] * len(TEMPLATES)
    assert [command.split()[1] for command in commands[0] if command.startswith("chancery ")] == \
        ["doctor", "sign", "verify"]


def test_every_template_is_tried():
    others = {"README.md", "trust.yaml"}
    assert {path.name for path in FOLDER.iterdir()} - others == set(TEMPLATES)


# --- what they do ---

@pytest.mark.parametrize("name", TEMPLATES)
def test_signed_verified_and_in_the_log(signed, name):
    place = signed(name)
    verify, = TEMPLATES[name]()["verify"]
    done = place.step(verify)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("3 verified, 0 not verified, 0 unsigned, 0 cannot tell\n")
    assert len(re.findall(r"proved by \d+\.receipt\n", done.stdout)) == 3
    reason = TEMPLATES[name]()["sign"][-1].env["CHANCERY_REASON"]
    for artifact in ARTIFACTS:
        rows = {row["kind"]: row for row in place.log_of(artifact)}
        assert set(rows) == {"sign.intent", "sign.outcome"}, rows
        assert rows["sign.intent"]["principal"] == "ci"
        assert reason.encode() in base64.b64decode(rows["sign.intent"]["detail"])
        assert (place.folder / f"receipts/{rows['sign.outcome']['index']}.receipt").is_file()


def test_a_step_that_fails_fails_the_job(signed, release, tsa, tmp_path):
    """No login, or nothing that may sign: the job does not get as far as the release."""
    doctor, *_, sign = TEMPLATES["github-actions.yml"]()["sign"]
    place = Workspace(release, tsa, tmp_path / "stranger", "no-such-token")
    done = place.step(doctor)
    assert (done.returncode, "problem  login" in done.stdout) == (1, True), done.stdout
    assert place.step(sign).returncode != 0
    for artifact in ARTIFACTS:
        assert (place.folder / "dist" / artifact).read_bytes() == place.unsigned[artifact]
    assert not place.log_of("app.tar")


def spoil(path):
    """One bit of what is signed."""
    content = path.read_bytes()
    pattern = {"app.exe": b"\x31\xc0\xc3", "app.tar": b"delivered"}.get(path.name)
    if pattern is None:  # compressed
        with zipfile.ZipFile(path) as archive:
            at = archive.getinfo("app.txt").header_offset + 30 + len("app.txt")
        pattern = content[at:at + 16]
    path.write_bytes(broken(path, pattern))
    return content


@pytest.mark.parametrize("name", TEMPLATES)
def test_one_bit_of_each_is_changed(signed, name):
    place = signed(name)
    verify, = TEMPLATES[name]()["verify"]
    good = {artifact: spoil(place.folder / "dist" / artifact) for artifact in ARTIFACTS}
    try:
        done = place.step(verify)
    finally:
        for artifact, content in good.items():
            (place.folder / "dist" / artifact).write_bytes(content)
    assert done.returncode == 1, done.stdout + done.stderr
    for artifact in ARTIFACTS:
        assert f"NOT VERIFIED dist/{artifact}: " in done.stdout


def test_a_file_that_nobody_signed(signed):
    """It got into the folder behind the signing step."""
    place = signed("gitlab-ci.yml")
    verify, = TEMPLATES["gitlab-ci.yml"]()["verify"]
    stray = place.folder / "dist/stray.exe"
    stray.write_bytes(place.unsigned["app.exe"])
    try:
        assert place.step(verify).returncode == 1
    finally:
        stray.unlink()


def test_without_its_receipt(signed):
    """The trust file wants the log."""
    place = signed("Jenkinsfile")
    verify, = TEMPLATES["Jenkinsfile"]()["verify"]
    receipts = place.folder / "receipts"
    aside = receipts.rename(place.folder / "aside")
    receipts.mkdir()
    try:
        done = place.step(verify)
    finally:
        receipts.rmdir()
        aside.rename(receipts)
    assert done.returncode == 1
    assert "0 verified, 3 not verified" in done.stdout


def test_with_a_build_tool_that_signs_itself(release, tsa, token, tmp_path):
    """README.md: chancery exec in the place of chancery sign."""
    need("jarsigner")
    _, _, commands = blocks_of_readme()
    doctor, *_, sign = TEMPLATES["gitlab-ci.yml"]()["sign"]
    place = Workspace(release, tsa, tmp_path / "exec", token)
    for artifact in set(ARTIFACTS) - {"app.jar"}:
        (place.folder / "dist" / artifact).unlink()
    place.steps([doctor, *(Step(command, sign.env) for command in commands),
                 *TEMPLATES["gitlab-ci.yml"]()["verify"]])
