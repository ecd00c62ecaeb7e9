# SPDX-License-Identifier: MIT
"""An RPM and a Debian package, as small as they get, made by the tools themselves."""

import shutil
import struct

from signer import run

SPEC = """\
Name: tiny
Version: 1
Release: 1
Summary: A tiny package
License: MIT
BuildArch: noarch
%description
Tiny.
%install
mkdir -p %{buildroot}/usr/share/tiny
echo tiny >%{buildroot}/usr/share/tiny/file
%files
/usr/share/tiny/file
"""

CONTROL = """\
Package: tiny
Version: 1
Architecture: all
Maintainer: Example <release@example.org>
Description: A tiny package
"""


def tiny_rpm(folder):
    place = folder / "rpmbuild"
    place.mkdir()
    (place / "tiny.spec").write_text(SPEC)
    run("rpmbuild", "-bb", "--define", f"_topdir {place}", "--define", f"_rpmdir {place}/out",
        place / "tiny.spec", cwd=place)
    built = folder / "tiny.rpm"
    shutil.copy(place / "out/noarch/tiny-1-1.noarch.rpm", built)
    shutil.rmtree(place)
    return built


def tiny_deb(folder):
    place = folder / "deb"
    (place / "DEBIAN").mkdir(parents=True)
    (place / "usr/share/tiny").mkdir(parents=True)
    (place / "DEBIAN/control").write_text(CONTROL)
    (place / "usr/share/tiny/file").write_text("tiny\n")
    built = folder / "tiny.deb"
    run("dpkg-deb", "--root-owner-group", "-b", place, built)
    shutil.rmtree(place)
    return built


def header_of(rpm):
    """The main header, which is what rpmsign has signed: (offset, bytes)."""
    content = rpm.read_bytes()

    def length(at):
        assert content[at:at + 4] == b"\x8e\xad\xe8\x01"
        entries, data = struct.unpack(">II", content[at + 8:at + 16])
        return 16 + 16 * entries + data

    at = 96  # behind the lead is the header of signatures, padded to 8
    at += (length(at) + 7) // 8 * 8
    return at, content[at:at + length(at)]


SOURCE_CONTROL = """\
Source: tiny
Section: misc
Priority: optional
Maintainer: Example <release@example.org>
Standards-Version: 4.6.2

Package: tiny
Architecture: all
Description: A tiny package
 Tiny.
"""
CHANGELOG = """\
tiny (1) unstable; urgency=low

  * First.

 -- Example <release@example.org>  Sun, 29 Nov 2026 12:00:00 +0000
"""
RULES = """\
#!/usr/bin/make -f
build build-indep binary-indep clean:
"""


def tiny_source(folder):
    """A source package that needs nothing to be made."""
    place = folder / "tiny-1"
    (place / "debian/source").mkdir(parents=True)
    for name, text in (("control", SOURCE_CONTROL), ("changelog", CHANGELOG), ("rules", RULES),
                       ("source/format", "3.0 (native)\n")):
        (place / "debian" / name).write_text(text)
    (place / "debian/rules").chmod(0o755)
    return place
