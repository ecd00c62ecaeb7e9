# SPDX-License-Identifier: MIT
"""What an intruder in a running process could do: root, from outside, puts a system call into it
with ptrace and sees what the kernel answers, as if code inside had made it. x86-64 only.

    with Intruder(pid) as intruder:
        intruder.call("openat", -100, b"/etc/passwd", 0)   # -errno, or what it returns
        intruder.call("execve", b"/bin/sh", 0, 0)          # raises Killed("SIGSYS")
"""

import ctypes
import os
import signal
import struct
import time

SOON = 60  # seconds; never reached by a test that passes
PTRACE_POKEDATA, PTRACE_SINGLESTEP = 5, 9
PTRACE_GETREGS, PTRACE_SETREGS = 12, 13
PTRACE_CONT, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 7, 17, 0x4206, 0x4207
WALL = 0x40000000
SCRATCH = 65536  # bytes below the stack pointer: past the red zone, still in the stack's mapping
REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp "
             "ss fs_base gs_base ds es fs gs").split()
ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")

NUMBERS = {  # arch/x86/entry/syscalls/syscall_64.tbl
    "open": 2, "mmap": 9, "mprotect": 10, "ioctl": 16, "socket": 41, "connect": 42, "sendto": 44,
    "sendmsg": 46, "shutdown": 48, "bind": 49, "setsockopt": 54, "clone": 56, "fork": 57,
    "vfork": 58, "execve": 59, "kill": 62, "fcntl": 72, "chdir": 80, "rename": 82, "unlink": 87,
    "symlink": 88, "chmod": 90, "ptrace": 101, "getuid": 102, "setuid": 105, "capset": 126,
    "mknod": 133, "personality": 135, "pivot_root": 155, "prctl": 157, "chroot": 161, "mount": 165,
    "init_module": 175, "tkill": 200, "tgkill": 234, "keyctl": 250, "openat": 257, "unshare": 272,
    "vmsplice": 278, "perf_event_open": 298, "prlimit64": 302, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311,
    "seccomp": 317, "bpf": 321, "execveat": 322, "userfaultfd": 323, "pkey_mprotect": 329,
    "io_uring_setup": 425, "pidfd_send_signal": 424, "pidfd_open": 434, "clone3": 435,
    "openat2": 437, "pidfd_getfd": 438, "landlock_create_ruleset": 444,
}


class Killed(Exception):
    """The process died of the call: the name of the signal."""


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in REGISTERS]


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def _ptrace(request, pid, address=0, data=0):
    result = _libc.ptrace(request, pid, address, data)
    if result < 0:
        number = ctypes.get_errno()
        # A ProcessLookupError where it does not stand, or has ended.
        raise OSError(number, f"ptrace {request:#x}: {os.strerror(number)}")
    return result


class Intruder:
    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        self.is_dead = False
        self.saved = None
        _ptrace(PTRACE_SEIZE, self.pid)
        try:
            self._ptrace(PTRACE_INTERRUPT)
            self._wait()
            registers = Registers()
            self._ptrace(PTRACE_GETREGS, ctypes.addressof(registers))
            self.saved = registers
            self.gate = self._find_gate()
        except BaseException:
            self._let_go()
            raise
        return self

    def __exit__(self, *exc):
        self._let_go()

    def _let_go(self):
        """Nothing stays traced: what has ended could not be collected by the supervisor."""
        if self.is_dead:
            return
        if self.saved is not None:
            # The call that it slept in is begun again.
            self._ptrace(PTRACE_SETREGS, ctypes.addressof(self.saved))
        self._ptrace(PTRACE_DETACH)

    def _ptrace(self, request, data=0):
        """Somebody else may have killed it while it stood: then its end is collected."""
        try:
            return _ptrace(request, self.pid, 0, data)
        except ProcessLookupError:
            self._wait()
            raise

    def _wait(self):
        deadline = time.monotonic() + SOON
        pid, status = os.waitpid(self.pid, WALL | os.WNOHANG)
        while pid == 0:
            if time.monotonic() > deadline:
                with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
                    raise AssertionError(f"it neither stops nor ends:\n{file.read()}")
            time.sleep(0.001)
            pid, status = os.waitpid(self.pid, WALL | os.WNOHANG)
        if os.WIFSIGNALED(status) or os.WIFEXITED(status):
            self.is_dead = True
            raise Killed(signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status)
                         else f"exit {os.WEXITSTATUS(status)}")
        return os.WSTOPSIG(status)

    def _find_gate(self):
        """The address of a `syscall` instruction: the vdso of every process has one."""
        with open(f"/proc/{self.pid}/maps", encoding="ascii") as maps, \
                open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            for line in maps:
                if line.rstrip().endswith("[vdso]"):
                    start, end = (int(part, 16) for part in line.split()[0].split("-"))
                    memory.seek(start)
                    return start + memory.read(end - start).index(b"\x0f\x05")
        raise AssertionError("no vdso")

    def _write(self, address, content):
        with open(f"/proc/{self.pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(address)
            memory.write(content)

    def read(self, address, size):
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(size)

    def call(self, name, *arguments):
        """Arguments that are bytes are laid down in its stack, and their address is given."""
        registers = Registers.from_buffer_copy(self.saved)
        registers.orig_rax = 2 ** 64 - 1  # it is not in a call that could be begun again
        registers.rip = self.gate
        registers.rax = NUMBERS[name]
        place = (self.saved.rsp - SCRATCH) & ~0xF
        for register, argument in zip(ARGUMENTS, arguments + (0,) * 6):
            if isinstance(argument, bytes):
                self._write(place, argument + b"\0")
                argument, place = place, place + (len(argument) + 16 & ~0xF)
            setattr(registers, register, argument & 2 ** 64 - 1)
        self._ptrace(PTRACE_SETREGS, ctypes.addressof(registers))
        self._ptrace(PTRACE_SINGLESTEP)
        stopped = self._wait()
        while stopped != signal.SIGTRAP:  # a signal of its own, in between
            self._ptrace(PTRACE_SINGLESTEP, stopped if stopped == signal.SIGSYS else 0)
            stopped = self._wait()
        self._ptrace(PTRACE_GETREGS, ctypes.addressof(registers))
        return struct.unpack("q", struct.pack("Q", registers.rax))[0]
