# SPDX-License-Identifier: MIT
"""A folder with one signed file of each kind, made with the tools that people use, through the
server of the test; and a trust file for it. What a tool signs with a key of its own (OpenPGP, SSH)
says so."""

import pathlib
import re
import shutil
import struct
import subprocess

import packages
import ssh_tools
import tiny_pe
import windows_samples
from signer import CHANCERY, run
from test_pkcs11_java import apk, jar

KEY = "r3"
OPENSSL = ("openssl", "cms", "-sign", "-binary", "-md", "sha256", "-inkey",
           f"pkcs11:object={KEY}")


class Tree:
    """`make(kind)` answers the path of a signed file; `trust(...)` that of a trust file."""

    def __init__(self, keys, tsa, folder):
        self.keys = keys
        self.tsa = tsa
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.gnupg = self.folder.parent / "gnupg"
        config = (keys.home / ".config/chancery/config.yaml").read_text()
        self.log_key = re.search(r'log_key: "?([^"\n]+)', config).group(1)

    # --- what people do ---

    def _new(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def _openssl(self, *words):
        self.keys.exec(*OPENSSL, "-signer", self.keys.certificate(KEY), "-certfile",
                       self.keys.home / "ca.pem", *words)

    def cms(self):
        path = self._new("app.tar", b"what is delivered\n" * 1000)
        self._openssl("-in", path, "-outform", "DER", "-out", f"{path}.p7s")
        return path

    def cms_ber_in_armour(self):
        path = self._new("app.txt", b"what is delivered, too\n")
        self._openssl("-in", path, "-stream", "-outform", "PEM", "-out", f"{path}.p7s")
        return path

    def raw(self):
        path = self._new("app.bin", b"bare\n")
        self.keys.admin.run("sign", "--raw", "--key", "p256", path, "--receipt",
                            f"{path}.receipt")
        return path

    def pe(self, stamped=True):
        path = self._new("app.exe.in", tiny_pe.tiny_pe())
        out = self.folder / "app.exe"
        out.unlink(missing_ok=True)
        self.keys.exec("osslsigncode", "sign", "-h", "sha256", "-pkcs11cert",
                       f"pkcs11:object={KEY};type=cert", "-key", f"pkcs11:object={KEY}",
                       *(("-ts", self.tsa.url) if stamped else ()), "-in", path, "-out", out)
        path.unlink()
        return out

    def efi(self):
        path = self._new("boot.efi", efi())
        self.keys.exec("sbsign", "--key", f"pkcs11:object={KEY}", "--cert",
                       self.keys.certificate(KEY), "--output", path, path)
        return path

    def module(self):
        """As the kernel's sign-file: no certificate, no attributes."""
        path = self._new("driver.ko", b"")
        scratch = self.folder.parent / "driver"
        scratch.mkdir(exist_ok=True)
        (scratch / "driver.s").write_text(
            '.section .modinfo,"a"\n.asciz "license=MIT"\n.text\nnop\n'
            '.section .gnu.linkonce.this_module,"aw"\n.zero 64\n')
        run("as", "-o", path, scratch / "driver.s")
        signature = self.folder / "signature"
        self._openssl("-in", path, "-noattr", "-nocerts", "-outform", "DER", "-out", signature)
        der = signature.read_bytes()
        signature.unlink()
        path.write_bytes(path.read_bytes() + der + struct.pack(">BBBBB3xI", 0, 0, 2, 0, 0, len(der))
                         + b"~Module signature appended~\n")
        return path

    def jar(self):
        path = self.folder / "app.jar"
        shutil.copy(jar(self.keys, "tree.jar"), path)
        self.keys.exec("jarsigner", "-tsa", self.tsa.url, path, KEY)
        return path

    def apk(self):
        path = self.folder / "app.apk"
        self.keys.exec("apksigner", "sign", "--ks-key-alias", "p256", "--min-sdk-version", "24",
                       "--out", path, apk(self.keys))
        path.with_name(path.name + ".idsig").unlink(missing_ok=True)
        return path

    def windows(self, kind):
        path = self.folder / f"app.{kind}.in"
        out = self.folder / f"app.{kind}"
        scratch = self.folder.parent / f"windows-{kind}"
        scratch.mkdir(exist_ok=True)
        path.write_bytes(windows_samples.make(kind, scratch))
        self.keys.exec("osslsigncode", "sign", "-h", "sha256", "-pkcs11cert",
                       f"pkcs11:object={KEY};type=cert", "-key", f"pkcs11:object={KEY}", "-ts",
                       self.tsa.url, "-in", path, "-out", out)
        path.unlink()
        return out

    # --- with keys of their own ---

    def gpg(self, *words, **options):
        env = self.keys.env(GNUPGHOME=str(self.gnupg))
        return run(*words, env=env, cwd=self.folder, **options)

    def openpgp_key(self):
        public = self.folder.parent / "openpgp.asc"
        if not public.exists():
            self.gnupg.mkdir(mode=0o700)
            self.gpg("gpg", "--batch", "--passphrase", "", "--quick-generate-key",
                     "Packager <packager@example.org>", "rsa3072", "sign", "never")
            public.write_text(self.gpg("gpg", "--armor", "--export").stdout)
        return public

    def openpgp(self):
        self.openpgp_key()
        path = self._new("source.tar", b"sources\n")
        self.gpg("gpg", "--batch", "--yes", "--armor", "--detach-sign", path)
        return path

    def deb(self):
        self.openpgp_key()
        root = self.folder.parent / "package"
        (root / "DEBIAN").mkdir(parents=True, exist_ok=True)
        (root / "DEBIAN/control").write_text(
            "Package: app\nVersion: 1\nArchitecture: all\nMaintainer: Test <t@example.org>\n"
            "Description: test\n")
        path = self.folder / "app.deb"
        run("dpkg-deb", "--build", "--root-owner-group", root, path)
        self.gpg("debsigs", "--sign=origin", path)
        return path

    def rpm(self):
        self.openpgp_key()
        top = self.folder.parent / "rpmbuild"
        top.mkdir(exist_ok=True)
        (top / "app.spec").write_text(
            "Name: app\nVersion: 1\nRelease: 1\nSummary: test\nLicense: MIT\nBuildArch: noarch\n"
            "%description\ntest\n%files\n")
        self.gpg("rpmbuild", "-bb", "--define", f"_topdir {top}", top / "app.spec")
        path = self.folder / "app.rpm"
        shutil.copy(next(top.glob("RPMS/noarch/*.rpm")), path)
        self.gpg("rpmsign", "--define", "_gpg_name Packager", "--define",
                 f"__gpg {shutil.which('gpg')}", "--addsign", path)
        return path

    def ssh_key(self):
        path = self.folder.parent / "ssh"
        if not path.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path)
        return path

    def ssh(self):
        path = self._new("notes.md", b"what is new\n")
        run("ssh-keygen", "-Y", "sign", "-n", "file", "-f", self.ssh_key(), path)
        return path

    # --- whom to believe ---

    def trust(self, name="trust.yaml", roots=None, stamps=None, extra=()):
        lines = ["version: 1", "roots:"]
        for path in roots if roots is not None else [self.keys.home / "ca.pem",
                                                     self.keys.certificate("p256"),
                                                     self.keys.certificate(KEY)]:
            lines.append(f"  - file: {path}")
        lines += ["time_stamp_roots:", f"  - file: {stamps or self.tsa.ca}", "keys:",
                  f"  - file: {self.keys.public_key('p256')}",
                  "log_keys:", f"  - {self.log_key}"]
        if (self.folder.parent / "openpgp.asc").exists():
            lines += ["openpgp_keys:", "  - file: openpgp.asc"]
        if (self.folder.parent / "ssh.pub").exists():
            kind, key, _ = (self.folder.parent / "ssh.pub").read_text().split()
            lines += ["ssh_keys:", "  - principal: release@example.org", f"    key: {kind} {key}"]
        path = self.folder.parent / name
        path.write_text("\n".join([*lines, *extra]) + "\n")
        return path

    def verify(self, *words, trust=None, env=None, check=False, **options):
        return run(CHANCERY, "verify", "--trust", trust or self.trust(), *words, check=check,
                   env={**self.keys.env(), **(env or {})}, cwd=self.folder, **options)


class Ours:
    """The same by keys of the server, each file in a folder of its own: `name(key)` answers its
    path."""

    def __init__(self, tree, pgp):
        self.tree = tree
        self.pgp = pgp
        self.keys = tree.keys

    def _folder(self, kind, key):
        folder = self.tree.folder.parent / "ours" / f"{kind}-{key}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _text(self, kind, key):
        path = self._folder(kind, key) / "SUMS"
        path.write_text(f"- {kind} by {key}  \n\nwhat is signed\n")
        return path

    def openpgp(self, key):
        path = self._text("openpgp", key)
        self.pgp.run("-u", key, "--yes", "--armor", "-o", f"{path}.asc", "--detach-sign", path)
        return path

    def openpgp_bare(self, key):
        path = self._text("openpgp-bare", key)
        self.pgp.run("-u", key, "--yes", "-o", f"{path}.sig", "--detach-sign", path)
        return path

    def cleartext(self, key):
        """Beside the text that is signed."""
        path = self._text("cleartext", key)
        self.pgp.run("-u", key, "--yes", "-o", f"{path}.asc", "--clear-sign", path)
        return path

    def cleartext_alone(self, key):
        path = self._text("cleartext-alone", key)
        signed = path.with_name("InRelease")
        self.pgp.run("-u", key, "--yes", "-o", signed, "--clear-sign", path)
        return signed

    def deb(self, key):
        path = packages.tiny_deb(self._folder("deb", key))
        self.keys.exec("debsigs", "--sign=origin", "-k", key, path)
        return path

    def rpm(self, key):
        path = packages.tiny_rpm(self._folder("rpm", key))
        self.keys.exec("rpmsign", "--addsign", f"--key-id={key}", path,
                       env={"GNUPGHOME": str(self.pgp.home)})
        return path

    def ssh(self, key):
        path = self._text("ssh", key)
        self.keys.exec("ssh-keygen", "-Y", "sign", "-f", ssh_tools.ssh_public(self.keys, key), "-n",
                       "file", path)
        return path

    def apk(self, key, schemes=(2, 3)):
        path = self._folder("apk", key) / f"app{''.join(map(str, schemes))}.apk"
        switches = [word for scheme in (1, 2, 3, 4) for word in
                    (f"--v{scheme}-signing-enabled", str(scheme in schemes).lower())]
        self.keys.exec("apksigner", "sign", "--ks-key-alias", key, "--min-sdk-version",
                       "28" if schemes == (3,) else "24", *switches, "--out", path, apk(self.keys))
        return path

    def trust(self, key):
        """With the key in each form."""
        public = self.tree.folder.parent / f"{key}.asc"
        self.pgp.run("--armor", "--yes", "-o", public, "--export", key)
        kind, blob = ssh_tools.ssh_public(self.keys, key).read_text().split()[:2]
        path = self.tree.folder.parent / f"ours-{key}.yaml"
        path.write_text("\n".join([
            "version: 1", "roots:", f"  - file: {self.keys.home / 'ca.pem'}",
            f"  - file: {self.keys.certificate(key)}", "log_keys:", f"  - {self.tree.log_key}",
            "openpgp_keys:", f"  - file: {public}", "ssh_keys:",
            "  - principal: release@example.org", f"    key: {kind} {blob}"]) + "\n")
        return path


CATALOG_MEMBER = windows_samples.CATALOG[3]


def efi():
    """The program, said to be an application of UEFI: the subsystem."""
    content = bytearray(tiny_pe.tiny_pe())
    struct.pack_into("<H", content, 64 + 24 + 68, 10)
    return bytes(content)


def killed(gnupg):
    subprocess.run(["gpgconf", "--homedir", str(gnupg), "--kill", "all"], check=False,
                   capture_output=True)
