#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Write a Windows program of one section that ends at once with 0: tiny_pe.py FILE.

Source: Microsoft's PE Format, "COFF File Header" to "Section Table".
"""

import struct
import sys

FILE_ALIGNMENT = 0x200
SECTION_ALIGNMENT = 0x1000
CODE = b"\x31\xc0\xc3"  # xor eax, eax; ret


def tiny_pe():
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    machine, sections, optional_size = 0x8664, 1, 112 + 16 * 8
    executable_large_address = 0x0022
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", machine, sections, 0, 0, 0, optional_size,
                                   executable_large_address)
    console, nx_and_relocatable = 3, 0x0160
    optional = struct.pack("<HBBIIIII", 0x20b, 14, 0, FILE_ALIGNMENT, 0, 0, SECTION_ALIGNMENT,
                           SECTION_ALIGNMENT)
    optional += struct.pack("<QIIHHHHHHIIIIHH", 0x140000000, SECTION_ALIGNMENT, FILE_ALIGNMENT,
                            6, 0, 0, 0, 6, 0, 0, 2 * SECTION_ALIGNMENT, FILE_ALIGNMENT, 0,
                            console, nx_and_relocatable)
    optional += struct.pack("<QQQQII", 0x100000, 0x1000, 0x100000, 0x1000, 0, 16) + bytes(16 * 8)
    code_read_execute = 0x60000020
    section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", len(CODE), SECTION_ALIGNMENT,
                                           FILE_ALIGNMENT, FILE_ALIGNMENT, 0, 0, 0, 0,
                                           code_read_execute)
    head = dos + coff + optional + section
    return head.ljust(FILE_ALIGNMENT, b"\0") + CODE.ljust(FILE_ALIGNMENT, b"\0")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: tiny_pe.py FILE")
    with open(sys.argv[1], "wb") as file:
        file.write(tiny_pe())
