# SPDX-License-Identifier: MIT
"""What boots machines: kernel modules, UEFI programs, IMA signatures, FIT images, RAUC bundles and
SWUpdate's descriptions. Each is signed by its own tool, checked by its own verifier, broken in one
byte, and found in the log."""

import hashlib
import pathlib
import struct
import subprocess

import pytest

import cms
import tiny_pe
from evidence import recovered, told
from signer import POLICY, artifact, need

SIGN_FILE = next(iter(sorted(pathlib.Path("/usr/lib").glob("linux-kbuild-*/scripts/sign-file"))),
                 None)
URI = "pkcs11:object=r3"


def broken(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    other = path.with_name(f"broken-{path.name}")
    other.write_bytes(content)
    return other


def refuses(keys, *words):
    done = keys.run(*words, check=False)
    assert done.returncode != 0, done
    return done


# --- kernel modules ---

MODULE_C = """\
#define INFO(text) static const char info_ ## __LINE__ [] \
    __attribute__((used, section(".modinfo"))) = text
INFO("license=MIT\\0name=tiny\\0vermagic=6.1.0 SMP");
"""
MAGIC = b"~Module signature appended~\n"


def tiny_module(keys):
    """What of a module modinfo reads; it is never loaded."""
    keys.file("tiny.c", MODULE_C)
    keys.run("gcc", "-c", "-o", "tiny.ko", "tiny.c")
    return keys.home / "tiny.ko"


def cut(signed):
    """A signed module's image and its signature: include/linux/module_signature.h."""
    content = signed.read_bytes()
    assert content.endswith(MAGIC)
    content = content[:-len(MAGIC)]
    kind, length = struct.unpack(">2xB5xI", content[-12:])
    assert kind == 2  # PKEY_ID_PKCS7
    return content[:-12 - length], content[-12 - length:-12]


def test_kernel_module(keys):
    if SIGN_FILE is None:
        pytest.skip("linux-kbuild is not installed")
    need("gcc", "modinfo")
    module = tiny_module(keys)
    done = keys.exec("openssl", "cms", "-sign", "-binary", "-noattr", "-nocerts", "-md", "sha512",
                     "-signer", "chancery:r3", "-inkey", "chancery:r3", "-in", module, "-outform",
                     "DER", "-out", "tiny.p7s")
    keys.run(SIGN_FILE, "-s", "tiny.p7s", "sha512", keys.certificate("r3"), module, "signed.ko")
    image, signature = cut(keys.home / "signed.ko")
    assert image == module.read_bytes()
    check = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in",
             keys.file("cut.p7s", signature), "-certfile", keys.certificate("r3"), "-CAfile",
             keys.home / "ca.pem", "-purpose", "any", "-out", "/dev/null", "-content"]
    assert "successful" in keys.run(*check, keys.file("cut.ko", image)).stderr
    refuses(keys, *check, broken(keys.home / "cut.ko", 100))
    shown = keys.run("modinfo", "./signed.ko").stdout
    assert "sig_id:         PKCS#7" in shown
    assert "sig_hashalgo:   sha512" in shown
    told(keys, done, "r3", "openssl", cms.Signed(signature).digests(image)[0])


# --- UEFI ---

def test_sbsign(keys):
    need("sbsign", "sbverify", "sbattach")
    keys.file("boot.efi", tiny_pe.tiny_pe())
    done = keys.exec("sbsign", "--key", URI, "--cert", keys.certificate("r3"), "--output",
                     "boot-signed.efi", "boot.efi")
    check = ["sbverify", "--cert", keys.certificate("r3")]
    assert "Signature verification OK" in keys.run(*check, "boot-signed.efi").stdout
    refuses(keys, *check, broken(keys.home / "boot-signed.efi", 0x200))  # its first instruction
    keys.run("sbattach", "--detach", "boot.p7", "boot-signed.efi")
    made = cms.Signed((keys.home / "boot.p7").read_bytes())
    told(keys, done, "r3", "sbsign", made.digests()[0])


# --- IMA ---

def test_evmctl(keys):
    need("evmctl")
    keys.file("measured.bin", b"what the kernel measures\n")
    keys.exec("openssl", "req", "-x509", "-new", "-key", "chancery:r3", "-subj", "/CN=IMA",
              "-outform", "DER", "-out", "ima.der")
    done = keys.exec("evmctl", "ima_sign", "--sigfile", "--hashalgo", "sha256",
                     "--keyid-from-cert", "ima.der", "--key", URI, "measured.bin")
    check = ["evmctl", "ima_verify", "--sigfile", "--key", "ima.der"]
    shown = keys.run(*check, "measured.bin")
    assert "verification is OK" in shown.stdout + shown.stderr
    keys.file("broken-measured.bin.sig", (keys.home / "measured.bin.sig").read_bytes())
    refuses(keys, *check, broken(keys.home / "measured.bin", 3))
    signature = (keys.home / "measured.bin.sig").read_bytes()[-3072 // 8:]
    told(keys, done, "r3", "evmctl", recovered(keys, signature))


# --- U-Boot ---

# What is signed: each image alone, or a configuration with the hashes of its images.
IMAGE, CONFIGURATION = "image", "configuration"
SIGNATURE = 'signature { algo = "sha256,rsa%s"; key-name-hint = "%s"; %s };'


def fit_text(what=IMAGE, key="r3", loads="", more="", bits=3072):
    """`loads` is put into the configuration, `more` behind it."""
    of_image = SIGNATURE % (bits, key, "") if what == IMAGE else 'hash { algo = "sha256"; };'
    of_all = ""
    if what == CONFIGURATION:
        of_all = SIGNATURE % (bits, key, 'sign-images = "kernel";')
    return f"""\
/dts-v1/;
/ {{
    description = "one image";
    images {{ kernel {{ description = "k"; data = /incbin/("kernel.bin"); type = "kernel";
        arch = "arm64"; os = "linux"; compression = "none"; load = <0>; entry = <0>;
        {of_image} }}; }};
    configurations {{ default = "c"; c {{ kernel = "kernel"; {loads} {of_all} }}; {more} }};
}};
"""


def fit_source(keys, what=IMAGE, name=None, **text):
    keys.file("kernel.bin", b"a kernel\n" * 9)
    return keys.file(f"{name or what}.its", fit_text(what, **text))


def fit_signed(keys, what, name=None, required=("-r",), **source):
    """What exec said, the image, and the device tree of a U-Boot that knows the key."""
    need("mkimage", "dtc")
    name = name or what
    control = keys.home / f"{name}.dtb"
    keys.run("dtc", "-O", "dtb", "-o", control, keys.file("empty.dts", "/dts-v1/; / { };\n"))
    done = keys.exec("mkimage", "-f", fit_source(keys, what, name, **source), "-N", "pkcs11",
                     "-k", "token=Chancery", "-K", control, *required, f"{name}.itb")
    return done, keys.home / f"{name}.itb", control


def signature_of(image, what):
    node = {IMAGE: "/images/kernel/signature", CONFIGURATION: "/configurations/c/signature"}[what]
    shown = subprocess.run(["fdtget", "-t", "bx", image, node, "value"], check=True,
                           capture_output=True, text=True).stdout
    return bytes(int(byte, 16) for byte in shown.split())


@pytest.mark.parametrize("what", [IMAGE, CONFIGURATION])
def test_mkimage(keys, what):
    """By the program that checks as U-Boot does; Debian has its source alone."""
    check = artifact("fit_check_sign")
    done, image, control = fit_signed(keys, what)
    shown = keys.run(check, "-f", image, "-k", control)
    assert "sha256,rsa3072:r3+" in shown.stdout
    assert "Signature check OK" in shown.stderr
    for place in (b"a kernel", signature_of(image, what)):
        spoilt = broken(image, image.read_bytes().index(place))
        shown = refuses(keys, check, "-f", spoilt, "-k", control)
        assert "Signature check bad" in shown.stderr
    told(keys, done, "r3", "mkimage", recovered(keys, signature_of(image, what)))


# --- RAUC ---

def rauc_folder(home, name="bundle"):
    folder = home / name
    folder.mkdir(exist_ok=True)
    (folder / "rootfs.img").write_bytes(b"a root file system\n" * 500)
    (folder / "manifest.raucm").write_text(
        "[update]\ncompatible=tiny\nversion=1\n[bundle]\nformat=plain\n"
        "[image.rootfs]\nfilename=rootfs.img\n")
    return folder


RAUC_CONF = """\
[system]
compatible=tiny
bootloader=noop
[keyring]
path=ca.pem
check-purpose=codesign
"""


def test_rauc(keys):
    need("rauc", "mksquashfs")
    bundle = keys.home / "update.raucb"
    bundle.unlink(missing_ok=True)
    conf = keys.file("rauc.conf", RAUC_CONF)
    done = keys.exec("rauc", "--conf", conf, "bundle", "--cert", keys.certificate("r3"), "--key",
                     URI, rauc_folder(keys.home), bundle)
    check = ["rauc", "--conf", conf, "info"]
    assert "Compatible" in keys.run(*check, bundle).stdout
    refuses(keys, *check, broken(bundle, 200))
    content = bundle.read_bytes()
    signature = content[-8 - int.from_bytes(content[-8:], "big"):-8]
    told(keys, done, "r3", "rauc", cms.Signed(signature).digests()[0])


# --- SWUpdate ---

def cpio(files):
    """The archive of an update, in cpio's form `crc` (cpio(5), newc with a checksum)."""
    out = b""
    for number, (name, content) in enumerate([*files, ("TRAILER!!!", b"")]):
        fields = [number, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1,
                  sum(content) & 0xffffffff]
        out += b"070702" + b"".join(b"%08X" % field for field in fields)
        out += name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + content
        out += b"\0" * (-len(out) % 4)
    return out + b"\0" * (-len(out) % 512)


def sw_description(image):
    return f"""\
software = {{
    version = "1.0";
    hardware-compatibility: ["1.0"];
    files: ({{ filename = "rootfs.img"; path = "/tmp/never"; type = "rawfile";
              sha256 = "{hashlib.sha256(image).hexdigest()}"; }});
}}
"""


def test_swupdate(keys):
    swupdate = artifact("swupdate")
    image = b"a root file system\n" * 100
    description = keys.file("sw-description", sw_description(image))
    done = keys.exec("openssl", "cms", "-sign", "-binary", "-nosmimecap", "-md", "sha256",
                     "-signer", "chancery:r3", "-inkey", "chancery:r3", "-in", description,
                     "-outform", "DER", "-out", "sw-description.sig")
    signature = (keys.home / "sw-description.sig").read_bytes()

    def update(name, text):
        return keys.file(name, cpio([("sw-description", text), ("sw-description.sig", signature),
                                     ("rootfs.img", image)]))

    check = [swupdate, "-c", "-k", keys.home / "ca.pem", "--cert-purpose", "codeSigning", "-H",
             "tiny:1.0", "-i"]
    # Debian's 2022.12 ends with 1 after a good check, too.
    shown = keys.run(*check, update("good.swu", description.read_bytes()), check=False)
    assert "SWUPDATE successful" in shown.stdout + shown.stderr, shown
    changed = description.read_bytes().replace(b'version = "1.0"', b'version = "1.1"')
    shown = refuses(keys, *check, update("bad.swu", changed))
    assert "SWUPDATE successful" not in shown.stdout + shown.stderr
    assert "Signature verification failed" in shown.stdout + shown.stderr
    told(keys, done, "r3", "openssl", cms.Signed(signature).digests()[0])


# --- refused by policy ---

FROZEN = POLICY + """\
  - name: frozen
    effect: require
    requirement: reason
    match: {key: r3}
"""
TOOLS = {
    "sbsign": lambda keys: ["sbsign", "--key", URI, "--cert", keys.certificate("r3"), "--output",
                            "never.efi", keys.file("boot.efi", tiny_pe.tiny_pe())],
    "evmctl": lambda keys: ["evmctl", "ima_sign", "--sigfile", "--hashalgo", "sha256",
                            "--keyid-from-cert", keys.certificate("r3"), "--key", URI,
                            keys.file("never.bin", b"what the kernel measures\n")],
    "mkimage": lambda keys: ["mkimage", "-f", fit_source(keys), "-N", "pkcs11", "-k",
                             "token=Chancery", "never.itb"],
    "rauc": lambda keys: ["rauc", "--conf", keys.file("rauc.conf", RAUC_CONF), "bundle", "--cert",
                          keys.certificate("r3"), "--key", URI, rauc_folder(keys.home),
                          "never.raucb"],
}


@pytest.fixture(name="frozen", scope="module")
def fixture_frozen(keys):
    keys.admin.policy(FROZEN)
    yield keys
    keys.admin.policy(POLICY)


@pytest.mark.parametrize("tool", TOOLS)
def test_refused(frozen, tool):
    """The tool ends with its own failure; exec says which rule decided."""
    need(tool)
    done = frozen.exec(*TOOLS[tool](frozen), check=False)
    assert done.returncode not in (0, 134, 139), done
    assert "chancery: REFUSED: key r3, rsa-pkcs1-sha256, log entry" in done.stderr, done.stderr
    assert "decided by rule frozen" in done.stderr
    assert not list(frozen.home.glob("never.raucb")) + list(frozen.home.glob("never.efi"))
