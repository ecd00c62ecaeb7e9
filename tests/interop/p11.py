#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A program that uses a PKCS#11 module step by step, as its standard input says:

    p11.py MODULE

Each line is a step, each answer a line: the name of what C_... returned, and what it gave.
    init | final | find LABEL | begin | sign HEX | threads N ROUNDS | fork STEP... | quit
`find` takes the private key of that label for all steps behind it; `begin` is C_SignInit with
CKM_ECDSA, `sign` C_Sign; `threads` has N threads sign in sessions of their own.

It is a program of its own so that a module's state, and what a test does to it, stay apart from
the tests. Only the members of PKCS#11 2.40 that are needed are written down.
"""

import ctypes
import os
import sys
import threading

ULONG = ctypes.c_ulong
NAMES = (  # of CK_FUNCTION_LIST, in its order, as far as they are used
    "Initialize Finalize GetInfo GetFunctionList GetSlotList GetSlotInfo GetTokenInfo "
    "GetMechanismList GetMechanismInfo InitToken InitPIN SetPIN OpenSession CloseSession "
    "CloseAllSessions GetSessionInfo GetOperationState SetOperationState Login Logout "
    "CreateObject CopyObject DestroyObject GetObjectSize GetAttributeValue SetAttributeValue "
    "FindObjectsInit FindObjects FindObjectsFinal EncryptInit Encrypt EncryptUpdate EncryptFinal "
    "DecryptInit Decrypt DecryptUpdate DecryptFinal DigestInit Digest DigestUpdate DigestKey "
    "DigestFinal SignInit Sign SignUpdate SignFinal").split()
RV = {
    0x0: "OK", 0x2: "HOST_MEMORY", 0x5: "GENERAL_ERROR", 0x6: "FUNCTION_FAILED",
    0x7: "ARGUMENTS_BAD", 0x1B: "ACTION_PROHIBITED", 0x20: "DATA_INVALID",
    0x21: "DATA_LEN_RANGE", 0x30: "DEVICE_ERROR", 0x31: "DEVICE_MEMORY", 0x32: "DEVICE_REMOVED",
    0x54: "FUNCTION_NOT_SUPPORTED", 0x90: "OPERATION_ACTIVE", 0x91: "OPERATION_NOT_INITIALIZED",
    0x82: "OBJECT_HANDLE_INVALID", 0xB3: "SESSION_HANDLE_INVALID", 0xE0: "TOKEN_NOT_PRESENT",
    0x101: "USER_NOT_LOGGED_IN", 0x190: "CRYPTOKI_NOT_INITIALIZED", 0x200: "FUNCTION_REJECTED",
}
CKA_CLASS, CKA_LABEL, CKO_PRIVATE_KEY, CKM_ECDSA = 0x0, 0x3, 0x3, 0x1041
CKF_SERIAL_SESSION, CKF_OS_LOCKING_OK = 0x4, 0x2


class Version(ctypes.Structure):
    _fields_ = [("major", ctypes.c_ubyte), ("minor", ctypes.c_ubyte)]


class FunctionList(ctypes.Structure):
    _fields_ = [("version", Version)] + [(name, ctypes.c_void_p) for name in NAMES]


class Attribute(ctypes.Structure):
    _fields_ = [("type", ULONG), ("value", ctypes.c_void_p), ("length", ULONG)]


class Mechanism(ctypes.Structure):
    _fields_ = [("mechanism", ULONG), ("parameter", ctypes.c_void_p), ("length", ULONG)]


class InitializeArgs(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("create", "destroy", "lock", "unlock")] + \
        [("flags", ULONG), ("reserved", ctypes.c_void_p)]


class Failed(Exception):
    pass


class Module:
    def __init__(self, path):
        library = ctypes.CDLL(path)
        found = ctypes.POINTER(FunctionList)()
        library.C_GetFunctionList(ctypes.byref(found))
        self.list = found.contents
        self.session = None
        self.key = None

    def call(self, name, *arguments):
        function = ctypes.CFUNCTYPE(ULONG, *[
            ULONG if isinstance(a, int) else ctypes.c_void_p for a in arguments
        ])(getattr(self.list, name))
        rv = function(*[
            a if isinstance(a, int) else ctypes.cast(a, ctypes.c_void_p) if a is not None else None
            for a in arguments
        ])
        if rv != 0:
            raise Failed(RV.get(rv, hex(rv)))

    def initialize(self):
        arguments = InitializeArgs(flags=CKF_OS_LOCKING_OK)
        self.call("Initialize", ctypes.pointer(arguments))

    def open(self):
        slots, n = (ULONG * 4)(), ULONG(4)
        self.call("GetSlotList", 1, slots, ctypes.pointer(n))
        session = ULONG()
        self.call("OpenSession", slots[0], CKF_SERIAL_SESSION, None, None,
                  ctypes.pointer(session))
        return session.value

    def find(self, label):
        self.session = self.session or self.open()
        kind, text = ULONG(CKO_PRIVATE_KEY), ctypes.create_string_buffer(label.encode())
        template = (Attribute * 2)(
            (CKA_CLASS, ctypes.cast(ctypes.pointer(kind), ctypes.c_void_p), ctypes.sizeof(kind)),
            (CKA_LABEL, ctypes.cast(text, ctypes.c_void_p), len(label)))
        self.call("FindObjectsInit", self.session, template, 2)
        found, n = (ULONG * 1)(), ULONG()
        self.call("FindObjects", self.session, found, 1, ctypes.pointer(n))
        self.call("FindObjectsFinal", self.session)
        if n.value != 1:
            raise Failed("none")
        self.key = found[0]

    def begin(self, session=None):
        mechanism = Mechanism(CKM_ECDSA, None, 0)
        self.call("SignInit", session or self.session, ctypes.pointer(mechanism), self.key)

    def sign(self, data, session=None):
        out, n = (ctypes.c_ubyte * 1024)(), ULONG(1024)
        text = ctypes.create_string_buffer(data, len(data))
        self.call("Sign", session or self.session, text, len(data), out, ctypes.pointer(n))
        return bytes(out[:n.value])

    def threads(self, count, rounds):
        results, failures = [], []

        def work(i):
            try:
                session = self.open()
                for k in range(rounds):
                    self.begin(session)
                    results.append(self.sign(bytes([i, k]) * 16, session))
                self.call("CloseSession", session)
            except Failed as error:
                failures.append(str(error))

        all_of_them = [threading.Thread(target=work, args=(i,)) for i in range(count)]
        for thread in all_of_them:
            thread.start()
        for thread in all_of_them:
            thread.join()
        if failures:
            raise Failed(",".join(sorted(set(failures))))
        return len(results)


def step(module, words):
    name, rest = words[0], words[1:]
    if name == "init":
        module.initialize()
    elif name == "final":
        module.session = module.key = None
        module.call("Finalize", None)
    elif name == "find":
        module.find(rest[0])
    elif name == "begin":
        module.begin()
    elif name == "sign":
        return module.sign(bytes.fromhex(rest[0])).hex()
    elif name == "threads":
        return str(module.threads(int(rest[0]), int(rest[1])))
    else:
        raise ValueError(name)
    return ""


def answer(module, words):
    try:
        print("OK", step(module, words), flush=True)
    except Failed as error:
        print(error, flush=True)


def fork(module, words):
    """The step is done in a child, then in the parent."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        answer(module, words)
        os._exit(0)
    os.waitpid(child, 0)
    answer(module, words)


def main():
    module = Module(sys.argv[1])
    for line in sys.stdin:
        words = line.split()
        if words[0] == "quit":
            break
        if words[0] == "fork":
            fork(module, words[1:])
        else:
            answer(module, words)


if __name__ == "__main__":
    main()
