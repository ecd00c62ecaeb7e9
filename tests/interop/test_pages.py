# SPDX-License-Identifier: MIT
"""The commands of docs/tools are run as they stand, page by page."""

import re
import shutil
import subprocess

import pytest

import plugins
import test_firmware
import tiny_pe
import windows_samples
from openpgp import CHANCERY_GPG
from packages import tiny_deb, tiny_rpm, tiny_source
from signer import BUILD, CHANCERY, MODULE, SOON, SOURCE, artifact, need
from test_pkcs11_java import apk, jar

PAGES = sorted((SOURCE / "docs/tools").glob("*.md"))
PROGRAMS = {
    "jsign.md": ["java", "osslsigncode", "wixl", "gcab"],
    "java.md": ["jarsigner", "keytool", "apksigner"],
    "openssl.md": ["openssl"],
    "osslsigncode.md": ["osslsigncode", "wixl", "gcab"],
    "chancery-sign.md": ["jarsigner", "osslsigncode", "openssl", "wixl", "gcab"],
    "firmware.md": ["gcc", "sbsign", "evmctl", test_firmware.SIGN_FILE or "sign-file", "mkimage",
                    "dtc", "rauc", "mksquashfs", "cpio"],
    "pkcs11.md": ["pkcs11-tool", "p11tool", "certtool"],
    "gpg.md": ["gpg", "gpgsm", "gnupg-pkcs11-scd"],
    "rpm.md": ["rpm", "rpmbuild", "rpmsign", "rpmkeys"],
    "deb.md": ["debsigs", "debsig-verify", "apt-ftparchive", "gpgv", "dpkg-buildpackage"],
    "git-openpgp.md": ["git", "gpg"],
    "ssh.md": ["ssh-keygen", "ssh-add"],
    "cosign.md": [],
    "notation.md": [],
    "xml.md": ["java", "xmlsec1"],
    "chancery-verify.md": ["openssl", "jarsigner", "keytool"],
    "git.md": ["git", "ssh-keygen"],
}


def commands_of(page):
    """All but walks, which tests/system/test_client_walk.py follows."""
    return "".join(re.findall(r"(?<!-->\n)^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"),
                              re.DOTALL | re.MULTILINE))


@pytest.fixture(scope="module", autouse=True)
def fixture_android(keys):
    """A key that a page makes; no other test sees it."""
    yield
    keys.admin.run("keys", "disable", "android", check=False)


def image(tool):
    """What a reader of a page about images has: one, and the tool with our plug-in."""
    def prepare(folder, request):
        plugins.place(folder / "bin", **{tool: artifact(tool)})
        (folder / "config").mkdir()
        pushed = request.getfixturevalue("registry").push(f"page-{tool}", b"an image of a page\n")
        # By this name notation speaks HTTP without being told to.
        return {"IMAGE": pushed.replace("127.0.0.1", "localhost"),
                "DOCKER_CONFIG": str(folder / "config")}
    return prepare


def firmware(folder, _):
    """What is to be put into images, bundles and updates."""
    rootfs = b"a root file system\n" * 100
    (folder / "bin").mkdir()
    for name in ("fit_check_sign", "swupdate"):
        (folder / "bin" / name).symlink_to(artifact(name))
    (folder / "kernel.bin").write_bytes(b"a kernel\n" * 9)
    (folder / "image.its").write_text(
        test_firmware.fit_text(test_firmware.CONFIGURATION, key="release"))
    subprocess.run(["dtc", "-O", "dtb", "-o", folder / "u-boot.dtb"], check=True, text=True,
                   input="/dts-v1/; / { };\n")
    test_firmware.rauc_folder(folder, "input")
    (folder / "system.conf").write_text(test_firmware.RAUC_CONF)
    (folder / "rootfs.img").write_bytes(rootfs)
    (folder / "sw-description").write_text(test_firmware.sw_description(rootfs))
    return {}


MORE = {"cosign.md": image("cosign"), "notation.md": image("notation"), "firmware.md": firmware}


PACKAGES = {"rpm.md": tiny_rpm, "deb.md": tiny_deb}


def fill(folder, keys, page):
    """What a reader has before the first command."""
    if page in PACKAGES:
        built = PACKAGES[page](folder)
        built.rename(folder / f"app{built.suffix}")
    if page == "deb.md":
        tiny_source(folder)
    for name in ("release.pem", "release.pub", "ca.pem"):
        (folder / name).write_bytes((keys.home / name).read_bytes())
    (folder / "app.jar").write_bytes(jar(keys).read_bytes())
    (folder / "app.apk").write_bytes(apk(keys).read_bytes())
    (folder / "boot.efi").write_bytes(tiny_pe.tiny_pe())
    (folder / "app.tar").write_text("what is delivered\n")
    (folder / "notes.txt").write_text("what is new\n- much\n")
    (folder / "app.ko").write_bytes(test_firmware.tiny_module(keys).read_bytes())
    (folder / "release.xml").write_text('<release><file name="app.tar"/></release>\n')
    (folder / "gnupg").mkdir(mode=0o700)


def fill_windows(folder):
    """Files that jsign and osslsigncode sign."""
    shutil.copy(artifact("jsign"), folder / "jsign.jar")
    for kind in ("exe", "dll", "msi", "cab", "cat", "ps1", "nupkg"):
        (folder / f"app.{kind}").write_bytes(windows_samples.make(kind, folder / "made"))


@pytest.mark.parametrize("page", [p for p in PAGES if commands_of(p)], ids=lambda p: p.name)
def test_page(release, tsa, page, request):
    need(*PROGRAMS[page.name])
    folder = release.folder / f"page-{page.stem}"
    folder.mkdir()
    fill(folder, release, page.name)
    shutil.copy(tsa.ca, folder / "tsa.pem")
    if page.name in ("jsign.md", "osslsigncode.md", "chancery-sign.md"):
        fill_windows(folder)
    more = MORE[page.name](folder, request) if page.name in MORE else {}
    env = release.env(CHANCERY_MODULE=str(MODULE), CHANCERY_SOURCE=str(SOURCE),
                      CHANCERY_OPENPGP=str(folder / "openpgp"),
                      GNUPGHOME=str(folder / "gnupg"), TSA=tsa.url)
    env["PATH"] = (f"{folder}/bin:{CHANCERY.parent}:{CHANCERY_GPG.parent}:{BUILD}/src/gpgsm:"
                   f"{env['PATH']}")
    env.update(more)
    try:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", commands_of(page)], cwd=folder,
                              env=env, capture_output=True, text=True, timeout=4 * SOON,
                              check=False, stdin=subprocess.DEVNULL)
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=env, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if "chancery exec" in commands_of(page):
        assert "chancery: signed: key release, " in done.stderr


def test_signserver_page(release):
    """docs/signserver.md, in the place of a program that was made for SignServer."""
    need("java", "keytool", "osslsigncode", "wixl", "gcab", "curl")
    folder = release.folder / "page-signserver"
    folder.mkdir()
    fill(folder, release, "signserver.md")
    fill_windows(folder)
    shutil.copy(release.server.data / "tls/certificate.pem", folder / "server.pem")
    env = release.env(URL=release.server.url)
    env["PATH"] = f"{CHANCERY.parent}:{env['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands_of(SOURCE / "docs/signserver.md")], cwd=folder,
        env=env, capture_output=True, text=True, timeout=4 * SOON, check=False,
        stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    names = [row["application"]["value"] for row in release.log(key="release", principal="job")]
    assert {"Jsign", "curl"} <= set(names)


def test_moving_from_signum_page(release):
    need("jarsigner", "pkcs11-tool")
    folder = release.folder / "page-signum"
    folder.mkdir()
    fill(folder, release, "moving-from-signum.md")
    env = release.env(CHANCERY_MODULE=str(MODULE))
    env["PATH"] = f"{CHANCERY.parent}:{env['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands_of(SOURCE / "docs/moving-from-signum.md")],
        cwd=folder, env=env, capture_output=True, text=True, timeout=4 * SOON, check=False,
        stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "chancery: signed: key release, " in done.stderr
    assert "Verified OK" in done.stdout


def test_every_tool_that_exec_knows_has_its_page(keys):
    table = (SOURCE / "src/cli/exec/tools.c").read_text(encoding="utf-8")
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for name in re.findall(r'\.name = "([^"]+)"', table):
        assert re.search(rf"\b{re.escape(name)}\b", pages), name
