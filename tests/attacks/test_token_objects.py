# SPDX-License-Identifier: MIT
"""Row 6: somebody edits what a token says of its objects, in SoftHSM's files or with the PIN. What
a token says is a hint: it makes no key attested, and no key sign in the place of another.

The files are those of SoftHSM 2.6: attributes of a type, a kind (1 is a truth value, of one byte)
and a value; numbers are 64 bits, the first byte the highest."""

import struct

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api import item, ok, running_world, softhsm
from test_bad_tokens import give_to

CKA_EXTRACTABLE, CKA_LOCAL, CKA_NEVER_EXTRACTABLE, CKA_ALWAYS_SENSITIVE = \
    0x162, 0x163, 0x164, 0x165
TRUTH = 1


@pytest.fixture
def world():
    with running_world() as made:
        yield made


def own_again(world):
    """What a program of root made there belongs to the token's user."""
    folder = world.server.data / "tokens/soft"
    give_to(folder, folder.stat())


def files_with(world, attribute, value):
    """The objects that have it so."""
    wanted = struct.pack(">QQB", attribute, TRUTH, value)
    folder = world.server.data / "tokens/soft/tokens"
    return [path for path in folder.rglob("*.object") if wanted in path.read_bytes()]


def edit(path, attribute, value):
    """Whether it had the other value."""
    old, new = (struct.pack(">QQB", attribute, TRUTH, 0xFF if truth else 0)
                for truth in (not value, value))
    content = path.read_bytes()
    path.write_bytes(content.replace(old, new))
    return old in content


def import_key(world, name, object_id):
    key = ec.generate_private_key(ec.SECP256R1())
    path = world.folder / "imported.der"
    private = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.DER,
                                           serialization.PublicFormat.SubjectPublicKeyInfo)
    for kind, content in (("privkey", private), ("pubkey", public)):
        path.write_bytes(content)
        softhsm(world.server, "--write-object", path, "--type", kind, "--label", name, "--id",
                object_id, *(["--usage-sign"] if kind == "privkey" else []))
    path.unlink()
    own_again(world)


# row 6
def test_an_imported_key_that_says_it_was_made_there(world):
    """The file says so after the edit; the server still attests nothing, and says software."""
    import_key(world, "imported", "ee")
    world.stop()
    edits = (CKA_LOCAL, CKA_NEVER_EXTRACTABLE, CKA_ALWAYS_SENSITIVE)
    private = [path for path in files_with(world, CKA_LOCAL, 0)
               if path in files_with(world, CKA_NEVER_EXTRACTABLE, 0)]
    assert len(private) == 1 and all(edit(private[0], attribute, True) for attribute in edits)
    world.server.start()
    listed = softhsm(world.server, "-O", "--type", "privkey", "--id", "ee")
    assert "never extractable" in listed and "local" in listed, "the edit was not one"
    key = ok(world.admin.post("/v1/keys/adopt", {"name": "imported", "label": "imported"}))
    assert key["origin"] == "adopted" and "not attested" in key["evidence"], key
    token = ok(world.admin.get("/v1/tokens"))["tokens"][0]
    assert token["is_software"], token


# row 6
def test_edits_after_a_key_was_taken_change_nothing_of_what_is_known(world):
    before = world.admin.key("made")
    world.stop()
    edited = sum(edit(path, attribute, value)
                 for path in files_with(world, CKA_LOCAL, 0xFF)
                 for attribute, value in ((CKA_LOCAL, False), (CKA_EXTRACTABLE, True)))
    assert edited >= 2
    world.server.start()
    world.admin.policy()
    after = ok(world.admin.get("/v1/keys/made"))
    for name in ("origin", "evidence", "public_key", "object_id"):
        assert after[name] == before[name], name


@pytest.mark.parametrize("kind,algorithm", [("p256", "ecdsa-sha256"), ("rsa-3072",
                                                                       "rsa-pkcs1-sha256")])
# row 6
def test_keys_whose_names_were_exchanged_do_not_sign_for_each_other(world, kind, algorithm):
    """With the PIN the private halves get each other's id. A signature of the wrong key would be
    one that the owner of the other did not allow."""
    made = {name: world.admin.key(name, kind) for name in ("mine", "yours")}
    world.admin.policy()
    world.stop()
    ids = [made[name]["object_id"] for name in ("mine", "yours")]
    for old, new in ((ids[0], "dddd"), (ids[1], ids[0]), ("dddd", ids[1])):
        softhsm(world.server, "--set-id", new, "--type", "privkey", "--id", old)
    own_again(world)
    world.server.start()
    size = world.log_size()
    for name in made:
        answer = world.admin.sign_items([item(name, b"%d" % n, algorithm) for n in range(3)])
        assert answer.status in (500, 502), answer
        assert b'"signature"' not in answer.body
    outcomes = [entry for entry, _ in world.entries(size) if entry["kind"] == "sign.outcome"]
    assert outcomes and {entry["outcome"] for entry in outcomes} == {"failed"}
