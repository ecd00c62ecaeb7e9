# SPDX-License-Identifier: MIT
"""Small valid files of the kinds that Windows signs: make(kind, folder, publisher)."""

import base64
import hashlib
import subprocess
import zipfile

import tiny_pe
from cms import value

BLOCK_BYTES = 64 * 1024  # of an AppxBlockMap


def der(tag, *parts):
    return value(tag, b"".join(parts))


def oid(text):
    first, second, *rest = (int(part) for part in text.split("."))
    body = bytes([first * 40 + second])
    for number in rest:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.insert(0, 0x80 | number & 0x7F)
        body += bytes(groups)
    return der(0x06, body)


CATALOG = [hashlib.sha256(b"file %d" % number).digest() for number in range(8)]


def catalog():
    """A list of trusted files, not signed yet: a CertificateTrustList of Windows in a SignedData
    without signers. osslsigncode 2.5 knows none that is shorter than 256 bytes."""
    subjects = [der(0x30, der(0x04, member), der(0x31)) for member in CATALOG]
    trust_list = der(
        0x30,
        der(0x30, oid("1.3.6.1.4.1.311.12.1.1")),
        der(0x04, bytes(range(16))),
        der(0x17, b"260101000000Z"),
        der(0x30, oid("1.3.6.1.4.1.311.12.1.2"), der(0x05)),
        der(0x30, *subjects))
    signed_data = der(
        0x30, der(0x02, b"\1"), der(0x31),
        der(0x30, oid("1.3.6.1.4.1.311.10.1"), der(0xA0, trust_list)), der(0x31))
    return der(0x30, oid("1.2.840.113549.1.7.2"), der(0xA0, signed_data))


def library():
    """The program, said to be a library: IMAGE_FILE_DLL."""
    content = bytearray(tiny_pe.tiny_pe())
    content[64 + 4 + 18 + 1] |= 0x20
    return bytes(content)


WXS = """\
<?xml version="1.0"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Name="App" Id="11111111-2222-3333-4444-555555555555" Version="1.0.0" Language="1033"
           Manufacturer="Test" UpgradeCode="66666666-7777-8888-9999-000000000000">
    <Package InstallerVersion="200" Compressed="yes"/>
    <Media Id="1" Cabinet="app.cab" EmbedCab="yes"/>
    <Directory Id="TARGETDIR" Name="SourceDir">
      <Component Id="App" Guid="12121212-3434-5656-7878-909090909090">
        <File Id="App" Source="app.txt"/>
      </Component>
    </Directory>
    <Feature Id="All" Level="1"><ComponentRef Id="App"/></Feature>
  </Product>
</Wix>
"""


def installer(folder):
    (folder / "app.txt").write_text("what is installed\n")
    (folder / "app.wxs").write_text(WXS)
    subprocess.run(["wixl", "-o", "made.msi", "app.wxs"], cwd=folder, check=True,
                   capture_output=True, timeout=60)
    return (folder / "made.msi").read_bytes()


def cabinet(folder):
    (folder / "app.txt").write_text("what the cabinet holds\n")
    subprocess.run(["gcab", "--create", "--zip", "made.cab", "app.txt"], cwd=folder, check=True,
                   capture_output=True, timeout=60)
    return (folder / "made.cab").read_bytes()


CONTENT_TYPES = """\
<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">\
<Default Extension="exe" ContentType="application/x-msdownload"/>\
<Default Extension="xml" ContentType="application/vnd.ms-appx.manifest+xml"/>\
<Override PartName="/AppxBlockMap.xml" ContentType="application/vnd.ms-appx.blockmap+xml"/>\
</Types>"""
MANIFEST = """\
<?xml version="1.0" encoding="utf-8"?>
<Package xmlns="http://schemas.microsoft.com/appx/manifest/foundation/windows10">
  <Identity Name="Test.App" Publisher="{publisher}" Version="1.0.0.0"/>
  <Properties><DisplayName>App</DisplayName><PublisherDisplayName>Test</PublisherDisplayName>
  <Logo>logo.png</Logo></Properties>
</Package>
"""
BLOCK_MAP = """\
<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<BlockMap xmlns="http://schemas.microsoft.com/appx/2010/blockmap" \
HashMethod="http://www.w3.org/2001/04/xmlenc#sha256">{files}</BlockMap>"""


def block_map(files):
    rows = []
    for name, content in files:
        blocks = [content[at:at + BLOCK_BYTES] for at in range(0, len(content), BLOCK_BYTES)]
        hashes = "".join(
            f'<Block Hash="{base64.b64encode(hashlib.sha256(block).digest()).decode()}"/>'
            for block in blocks)
        rows.append(f'<File Name="{name}" Size="{len(content)}" LfhSize="{30 + len(name)}">'
                    f"{hashes}</File>")
    return BLOCK_MAP.format(files="".join(rows))


def zipped(folder, files):
    path = folder / "made.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content)
    return path.read_bytes()


def app_package(folder, publisher):
    files = [("app.exe", tiny_pe.tiny_pe()),
             ("AppxManifest.xml", MANIFEST.format(publisher=publisher).encode())]
    return zipped(folder, [*files, ("AppxBlockMap.xml", block_map(files)),
                           ("[Content_Types].xml", CONTENT_TYPES)])


NUSPEC = """\
<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd"><metadata>\
<id>Test.App</id><version>1.0.0</version><authors>Test</authors>\
<description>An app</description></metadata></package>
"""


def library_package(folder):
    return zipped(folder, [("Test.App.nuspec", NUSPEC), ("lib/net8.0/app.dll", tiny_pe.tiny_pe()),
                           ("[Content_Types].xml", CONTENT_TYPES)])


SCRIPT = "Write-Output 'what the script says'\r\n"


def make(kind, folder, publisher="CN=Test"):
    """The bytes of a file of this kind; `folder` is for what its maker needs."""
    folder.mkdir(exist_ok=True)
    makers = {
        "exe": tiny_pe.tiny_pe,
        "dll": library,
        "msi": lambda: installer(folder),
        "cab": lambda: cabinet(folder),
        "cat": catalog,
        "msix": lambda: app_package(folder, publisher),
        "appx": lambda: app_package(folder, publisher),
        "ps1": SCRIPT.encode,
        "nupkg": lambda: library_package(folder),
    }
    return makers[kind]()
