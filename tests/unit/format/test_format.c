/* SPDX-License-Identifier: MIT */
/* Each kind but archives: unsigned, signed, cut short, and with headers that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "file_fixture.h"

static struct file f;

static int setup(void **state)
{
    (void)state;
    file_init(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    file_done(&f);
    return 0;
}

/* Cut at each place from its whole length down to `least`: still its kind, and broken, and nothing
 * is read past the end. */
static void expect_broken_when_cut(const char *name, enum chy_format_kind kind, size_t least)
{
    while (f.n > least) {
        f.n--;
        file_expect_broken(&f, name, kind);
    }
}

/* --- PE --- */

enum {
    PE_AT = 64,
    OPTIONAL_AT = PE_AT + 24,
};

static void make_pe(bool is_plus, unsigned subsystem)
{
    size_t directories = OPTIONAL_AT + (is_plus ? 112 : 96);
    file_text(&f, CHY_STR("MZ"));
    file_pad(&f, 0x3c);
    file_le(&f, 4, PE_AT);
    file_text(&f, CHY_STR("PE\0\0"));
    file_pad(&f, PE_AT + 20);
    file_le(&f, 2, directories + 128 - OPTIONAL_AT);
    file_pad(&f, OPTIONAL_AT);
    file_le(&f, 2, is_plus ? 0x20b : 0x10b);
    file_pad(&f, OPTIONAL_AT + 68);
    file_le(&f, 2, subsystem);
    file_pad(&f, directories - 4);
    file_le(&f, 4, 16);
    file_pad(&f, directories + 128);
}

static void test_pe__plain(void **state)
{
    (void)state;
    make_pe(false, 3);
    file_expect(&f, "", CHY_FORMAT_PE, false);
    f.n = 0;
    make_pe(true, 2);
    file_expect(&f, "x.jar", CHY_FORMAT_PE, false);
}

static void test_pe__efi(void **state)
{
    (void)state;
    for (unsigned subsystem = 9; subsystem <= 14; subsystem++) {
        bool is_efi = subsystem >= 10 && subsystem <= 13;
        f.n = 0;
        make_pe(true, subsystem);
        file_expect(&f, "", is_efi ? CHY_FORMAT_EFI : CHY_FORMAT_PE, false);
    }
}

static void test_pe__signed(void **state)
{
    (void)state;
    make_pe(true, 3);
    size_t directory = OPTIONAL_AT + 112 + 4 * 8;
    file_set_le(&f, directory, 4, f.n);
    file_set_le(&f, directory + 4, 4, 8);
    file_expect_broken(&f, "", CHY_FORMAT_PE);
    file_pad(&f, f.n + 8);
    file_expect(&f, "", CHY_FORMAT_PE, true);
    file_set_le(&f, directory, 4, 0xffffffff);
    file_expect_broken(&f, "", CHY_FORMAT_PE);
}

/* So few directories that there is none of signatures. */
static void test_pe__no_directory(void **state)
{
    (void)state;
    make_pe(false, 3);
    file_set_le(&f, OPTIONAL_AT + 92, 4, 4);
    file_set_le(&f, OPTIONAL_AT + 96 + 4 * 8 + 4, 4, 8);
    file_expect(&f, "", CHY_FORMAT_PE, false);
}

static void test_pe__of_dos(void **state)
{
    (void)state;
    make_pe(false, 3);
    file_set_le(&f, 0x3c, 4, 0);
    file_expect(&f, "", CHY_FORMAT_UNKNOWN, false);
    file_set_le(&f, 0x3c, 4, 0xfffffff0);
    file_expect(&f, "", CHY_FORMAT_UNKNOWN, false);
}

static void test_pe__unknown_magic(void **state)
{
    (void)state;
    make_pe(false, 3);
    file_set_le(&f, OPTIONAL_AT, 2, 0x107);
    file_expect_broken(&f, "", CHY_FORMAT_PE);
}

static void test_pe__cut_short(void **state)
{
    (void)state;
    make_pe(false, 3);
    expect_broken_when_cut("", CHY_FORMAT_PE, PE_AT + 4);
    f.n--;
    file_expect(&f, "", CHY_FORMAT_UNKNOWN, false);
}

/* --- compound files --- */

/* A FAT in sector 0, the directory in sectors 1 and 2. */
static void make_msi(void)
{
    file_text(&f, CHY_STR("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"));
    file_pad(&f, 30);
    file_le(&f, 2, 9);
    file_pad(&f, 44);
    file_le(&f, 4, 1);
    file_le(&f, 4, 1);
    file_pad(&f, 68);
    file_le(&f, 4, 0xfffffffe);
    file_pad(&f, 76);
    file_le(&f, 4, 0);
    file_pad(&f, 512);
    file_le(&f, 4, 0xfffffffd);
    file_le(&f, 4, 2);
    file_le(&f, 4, 0xfffffffe);
    while (f.n < 1024)
        file_le(&f, 4, 0xffffffff);
    file_pad(&f, 1024 + 80);
    file_text(&f, CHY_STR("\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0\x46"));
    file_pad(&f, 2048);
}

static void put_signature_stream(size_t at)
{
    static const char name[] = "\5DigitalSignature";
    for (size_t i = 0; i < sizeof name; i++)
        file_set_le(&f, at + 2 * i, 2, (uint8_t)name[i]);
    file_set_le(&f, at + 64, 2, 2 * sizeof name);
}

static void test_msi__plain_and_signed(void **state)
{
    (void)state;
    make_msi();
    file_expect(&f, "", CHY_FORMAT_MSI, false);
    put_signature_stream(1536 + 128); /* in the second sector of the directory */
    file_expect(&f, "", CHY_FORMAT_MSI, true);
}

/* A signature is of streams, and none is there. */
static void test_msi__something_behind_it(void **state)
{
    (void)state;
    make_msi();
    file_text(&f, CHY_STR("x"));
    file_expect(&f, "", CHY_FORMAT_MSI, false);
    put_signature_stream(1024 + 128);
    file_expect_broken(&f, "", CHY_FORMAT_MSI);
    file_pad(&f, 2560);
    file_expect_broken(&f, "", CHY_FORMAT_MSI);
    file_set_le(&f, 512 + 12, 4, 0xfffffffe); /* the sector is somebody's */
    file_expect(&f, "", CHY_FORMAT_MSI, true);
    f.n = 2048 + 511; /* some write no more than they need of the last one */
    file_expect(&f, "", CHY_FORMAT_MSI, true);
}

/* The header names 109 FAT sectors; the lists of more, the first of which is in sector 3. */
static void test_msi__more_fat_sectors_than_the_header_holds(void **state)
{
    (void)state;
    make_msi();
    put_signature_stream(1024 + 128);
    for (size_t i = 1; i < 109; i++)
        file_set_le(&f, 76 + 4 * i, 4, 0);
    size_t end = 512 + 109 * 128 * 512 + 512;
    file_set_le(&f, 44, 4, 110);
    file_set_le(&f, 68, 4, 3);
    file_pad(&f, 2560);
    file_set_le(&f, 2048, 4, 4);
    file_le(&f, 4, 0xfffffffe);
    while (f.n < 3072)
        file_le(&f, 4, 0xffffffff);
    file_pad(&f, end);
    file_expect(&f, "", CHY_FORMAT_MSI, true);
    file_pad(&f, end + 1);
    file_expect_broken(&f, "", CHY_FORMAT_MSI);
}

static void test_msi__no_sector_is_in_use(void **state)
{
    (void)state;
    make_msi();
    put_signature_stream(1024 + 128);
    file_set_le(&f, 44, 4, 0);
    file_expect_broken(&f, "", CHY_FORMAT_MSI);
}

static void test_msi__other_compound_file(void **state)
{
    (void)state;
    make_msi();
    file_set_le(&f, 1024 + 80, 4, 0x00020906); /* Word */
    file_expect(&f, "x.doc", CHY_FORMAT_UNKNOWN, false);
    file_expect(&f, "x.msi", CHY_FORMAT_MSI, false);
}

static void test_msi__directory_in_a_circle(void **state)
{
    (void)state;
    make_msi();
    file_set_le(&f, 512 + 8, 4, 1);
    file_expect(&f, "", CHY_FORMAT_MSI, false);
}

static void test_msi__lists_of_fat_sectors_in_a_circle(void **state)
{
    (void)state;
    make_msi();
    file_set_le(&f, 68, 4, 3);
    file_pad(&f, 2560);
    file_set_le(&f, 2560 - 4, 4, 3);
    file_set_le(&f, 512 + 8, 4, 0x00ffffff);
    file_expect(&f, "", CHY_FORMAT_MSI, false);
}

static void test_msi__no_directory(void **state)
{
    (void)state;
    make_msi();
    file_set_le(&f, 48, 4, 0x00ffffff);
    file_expect_broken(&f, "x.msi", CHY_FORMAT_MSI);
    file_expect(&f, "", CHY_FORMAT_UNKNOWN, false);
    file_set_le(&f, 30, 2, 63);
    file_expect_broken(&f, "x.msi", CHY_FORMAT_MSI);
}

/* --- cabinets --- */

static void make_cab(size_t signature)
{
    size_t size = 60;
    file_text(&f, CHY_STR("MSCF\0\0\0\0"));
    file_le(&f, 4, size);
    file_pad(&f, 30);
    file_le(&f, 2, signature != 0 ? 4 : 0);
    file_pad(&f, 36);
    file_le(&f, 2, signature != 0 ? 20 : 0);
    file_pad(&f, 44);
    file_le(&f, 4, size);
    file_le(&f, 4, signature);
    file_pad(&f, size + signature);
}

static void test_cab(void **state)
{
    (void)state;
    make_cab(0);
    file_expect(&f, "", CHY_FORMAT_CAB, false);
    expect_broken_when_cut("", CHY_FORMAT_CAB, 8);
    f.n = 0;
    make_cab(8);
    file_expect(&f, "", CHY_FORMAT_CAB, true);
    file_text(&f, CHY_STR("x"));
    file_expect_broken(&f, "", CHY_FORMAT_CAB);
    f.n--;
    expect_broken_when_cut("", CHY_FORMAT_CAB, 60);
}

/* --- catalogues --- */

#define CAT_HEAD                                   \
    "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02" \
    "\xa0\x18\x30\x16\x02\x01\x01\x31\x00\x30\x0b" \
    "\x06\x09\x2b\x06\x01\x04\x01\x82\x37\x0a\x01"

/* The lengths of what is open from there on to the end. */
static void make_cat(struct chy_str signers)
{
    file_text(&f, CHY_STR("\x30\x25" CAT_HEAD));
    file_text(&f, signers);
    f.p[1] = (uint8_t)(f.n - 2);
    f.p[14] = (uint8_t)(f.n - 15);
    f.p[16] = (uint8_t)(f.n - 17);
}

static void test_cat(void **state)
{
    (void)state;
    make_cat(CHY_STR("\x31\x00"));
    file_expect(&f, "", CHY_FORMAT_CAT, false);
    f.n = 0;
    make_cat(CHY_STR("\x31\x02\x30\x00"));
    file_expect(&f, "", CHY_FORMAT_CAT, true);
    f.n = 0;
    make_cat(CHY_STR("\xa0\x02\x30\x00\x31\x02\x30\x00"));
    file_expect(&f, "", CHY_FORMAT_CAT, true);
}

static void test_cat__cut_short(void **state)
{
    (void)state;
    make_cat(CHY_STR(""));
    file_expect_broken(&f, "", CHY_FORMAT_CAT);
    while (--f.n > 0)
        file_expect(&f, "", CHY_FORMAT_UNKNOWN, false);
}

static void test_cat__other_signed_data(void **state)
{
    (void)state;
    make_cat(CHY_STR("\x31\x00"));
    f.p[f.n - 3] = 2; /* another content */
    file_expect(&f, "x.cat", CHY_FORMAT_UNKNOWN, false);
}

static void test_cat__lengths_that_lie(void **state)
{
    (void)state;
    file_text(&f, CHY_STR("\x30\x84\xff\xff\xff\xff" CAT_HEAD "\x31\x00"));
    file_expect(&f, "", CHY_FORMAT_UNKNOWN, false);
    file_set_text(&f, 1, CHY_STR("\x80"));
    file_expect(&f, "", CHY_FORMAT_UNKNOWN, false);
    file_set_text(&f, 1, CHY_STR("\xff"));
    file_expect(&f, "", CHY_FORMAT_UNKNOWN, false);
}

/* --- RPM --- */

static void make_rpm(uint32_t tag)
{
    file_text(&f, CHY_STR("\xed\xab\xee\xdb\3\0"));
    file_pad(&f, 96);
    file_text(&f, CHY_STR("\x8e\xad\xe8\1\0\0\0\0"));
    file_be(&f, 4, 2);
    file_be(&f, 4, 4);
    file_be(&f, 4, 1000); /* size */
    file_pad(&f, 128);
    file_be(&f, 4, tag);
    file_pad(&f, 148);
}

static void test_rpm(void **state)
{
    static const uint32_t signatures[] = { 267, 268, 278, 1002, 1005 };
    (void)state;
    make_rpm(1004);
    file_expect(&f, "", CHY_FORMAT_RPM, false);
    for (size_t i = 0; i < CHY_ARRAY_LEN(signatures); i++) {
        f.n = 0;
        make_rpm(signatures[i]);
        file_expect(&f, "", CHY_FORMAT_RPM, true);
    }
    expect_broken_when_cut("", CHY_FORMAT_RPM, 4);
}

static void test_rpm__as_many_entries_as_there_may_be(void **state)
{
    (void)state;
    make_rpm(1004);
    file_pad(&f, 112 + 16 * (CHY_LIMIT_FORMAT_STEPS + 1) + 4);
    f.p[104] = 0;
    f.p[105] = CHY_LIMIT_FORMAT_STEPS >> 16;
    f.p[106] = CHY_LIMIT_FORMAT_STEPS >> 8 & 0xff;
    f.p[107] = CHY_LIMIT_FORMAT_STEPS & 0xff;
    file_expect(&f, "", CHY_FORMAT_RPM, false);
    f.p[107]++;
    file_expect_broken(&f, "", CHY_FORMAT_RPM);
}

/* --- Debian packages --- */

static void put_member(const char *name, const char *content)
{
    size_t at = f.n;
    char size[11] = "          ";
    size_t n = strlen(content);
    file_text(&f, chy_str_of(name));
    while (f.n < at + 48)
        file_text(&f, CHY_STR(" "));
    size[0] = (char)('0' + n / 10);
    size[1] = (char)('0' + n % 10);
    file_text(&f, chy_str_of(size));
    file_text(&f, CHY_STR("`\n"));
    file_text(&f, chy_str_of(content));
    if (n % 2 != 0)
        file_text(&f, CHY_STR("\n"));
}

static void make_deb(void)
{
    file_text(&f, CHY_STR("!<arch>\n"));
    put_member("debian-binary", "2.0\n");
    put_member("control.tar.xz", "odd");
    put_member("data.tar.xz", "data");
}

static void test_deb(void **state)
{
    (void)state;
    make_deb();
    file_expect(&f, "", CHY_FORMAT_DEB, false);
    put_member("_gpgorigin", "signature!");
    file_expect(&f, "", CHY_FORMAT_DEB, true);
    f.n--;
    file_expect_broken(&f, "", CHY_FORMAT_DEB);
}

/* debsigs signs whatever is left of one. */
static void test_deb__cut_short(void **state)
{
    (void)state;
    make_deb();
    while (--f.n >= 8 + sizeof "debian-binary" - 1)
        file_expect_broken(&f, "", CHY_FORMAT_DEB);
    file_expect(&f, "", CHY_FORMAT_UNKNOWN, false);
}

static void test_deb__other_archive(void **state)
{
    (void)state;
    file_text(&f, CHY_STR("!<arch>\n"));
    put_member("hello.o/", "");
    file_expect(&f, "x.deb", CHY_FORMAT_UNKNOWN, false);
}

static void test_deb__size_is_no_number(void **state)
{
    (void)state;
    make_deb();
    file_set_text(&f, 8 + 48, CHY_STR("-1        "));
    file_expect_broken(&f, "", CHY_FORMAT_DEB);
    file_set_text(&f, 8 + 48, CHY_STR("9999999999"));
    file_expect_broken(&f, "", CHY_FORMAT_DEB);
}

/* What stands behind so many members is not looked at. */
static void test_deb__members_at_the_limit(void **state)
{
    (void)state;
    file_text(&f, CHY_STR("!<arch>\n"));
    put_member("debian-binary", "2.0\n");
    for (size_t i = 2; i < CHY_LIMIT_FORMAT_MEMBERS; i++)
        put_member("more", "");
    put_member("_gpgorigin", "");
    file_expect(&f, "", CHY_FORMAT_DEB, true);
    f.n -= 60;
    put_member("more", "");
    put_member("_gpgorigin", "");
    file_expect(&f, "", CHY_FORMAT_DEB, false);
}

/* --- kernel modules --- */

static void put_number(size_t bytes, uint64_t value, bool is_big)
{
    if (is_big)
        file_be(&f, bytes, value);
    else
        file_le(&f, bytes, value);
}

/* Sections: none, the names, .modinfo. */
static void make_elf(bool is_64, bool is_big, unsigned type, const char *section)
{
    size_t word = is_64 ? 8 : 4;
    size_t sections = 128;
    size_t each = is_64 ? 64 : 40;
    file_text(&f, CHY_STR("\x7f"
                          "ELF"));
    file_le(&f, 1, is_64 ? 2 : 1);
    file_le(&f, 1, is_big ? 2 : 1);
    file_pad(&f, 16);
    put_number(2, type, is_big);
    file_pad(&f, is_64 ? 40 : 32);
    put_number(word, sections, is_big);
    file_pad(&f, is_64 ? 58 : 46);
    put_number(2, each, is_big);
    put_number(2, 3, is_big);
    put_number(2, 1, is_big);
    file_pad(&f, 64);
    file_text(&f, CHY_STR("\0.shstrtab\0"));
    file_text(&f, chy_str_of(section));
    file_pad(&f, sections + each + (is_64 ? 24 : 16));
    put_number(word, 64, is_big);
    file_pad(&f, sections + 2 * each);
    put_number(4, 11, is_big);
    file_pad(&f, sections + 3 * each);
}

static void test_module__each_class_and_order(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        f.n = 0;
        make_elf((i & 1) != 0, (i & 2) != 0, 1, ".modinfo");
        file_expect(&f, "", CHY_FORMAT_MODULE, false);
        file_text(&f, CHY_STR("signature~Module signature appended~\n"));
        file_expect(&f, "", CHY_FORMAT_MODULE, true);
    }
}

static void test_module__other_elf(void **state)
{
    (void)state;
    make_elf(true, false, 1, ".modinfos");
    file_expect(&f, "x.o", CHY_FORMAT_UNKNOWN, false);
    file_expect_broken(&f, "x.ko", CHY_FORMAT_MODULE);
    f.n = 0;
    make_elf(true, false, 2, ".modinfo"); /* a program */
    file_expect(&f, "", CHY_FORMAT_UNKNOWN, false);
}

static void test_module__cut_short(void **state)
{
    (void)state;
    make_elf(true, false, 1, ".modinfo");
    expect_broken_when_cut("x.ko", CHY_FORMAT_MODULE, 4);
}

/* --- image trees --- */

static void put_node(const char *name)
{
    file_be(&f, 4, 1);
    file_text(&f, chy_str_of(name));
    file_pad(&f, (f.n + 4) & ~(size_t)3);
}

static void put_property(uint32_t name, const char *value)
{
    file_be(&f, 4, 3);
    file_be(&f, 4, strlen(value));
    file_be(&f, 4, name);
    file_text(&f, chy_str_of(value));
    file_pad(&f, (f.n + 3) & ~(size_t)3);
}

static void put_ends(unsigned n)
{
    while (n-- > 0)
        file_be(&f, 4, 2);
}

enum {
    NAMES_AT = 40,
    TREE_AT = 56,
    NAME_DATA = 0,
    NAME_VALUE = 5,
};

static void make_fit(const char *root, const char *signature, uint32_t property)
{
    file_text(&f, CHY_STR("\xd0\x0d\xfe\xed\0\0\0\0\0\0\0\x38\0\0\0\x28"));
    file_pad(&f, NAMES_AT);
    file_text(&f, CHY_STR("data\0value\0"));
    file_pad(&f, TREE_AT);
    put_node("");
    put_node(root);
    put_node("kernel-1");
    put_property(NAME_VALUE, "not in a signature");
    put_node(signature);
    put_property(property, "12345");
    put_ends(4);
    file_be(&f, 4, 9);
    f.p[7] = (uint8_t)f.n;
    f.p[6] = (uint8_t)(f.n >> 8);
    f.p[39] = (uint8_t)(f.n - TREE_AT);
}

static void test_fit(void **state)
{
    (void)state;
    make_fit("images", "signature-1", NAME_DATA);
    file_expect(&f, "", CHY_FORMAT_FIT, false);
    f.n = 0;
    make_fit("images", "signature-1", NAME_VALUE);
    file_expect(&f, "", CHY_FORMAT_FIT, true);
    f.n = 0;
    make_fit("images", "hash-1", NAME_VALUE);
    file_expect(&f, "", CHY_FORMAT_FIT, false);
}

static void test_fit__device_tree(void **state)
{
    (void)state;
    make_fit("cpus", "signature-1", NAME_VALUE);
    file_expect(&f, "x.dtb", CHY_FORMAT_UNKNOWN, false);
}

static void test_fit__cut_short(void **state)
{
    (void)state;
    make_fit("images", "signature-1", NAME_VALUE);
    expect_broken_when_cut("x.itb", CHY_FORMAT_FIT, 4);
}

static void test_fit__ends_without_beginnings(void **state)
{
    (void)state;
    make_fit("images", "signature-1", NAME_VALUE);
    file_set_text(&f, TREE_AT, CHY_STR("\0\0\0\2"));
    file_expect_broken(&f, "x.itb", CHY_FORMAT_FIT);
}

static void test_fit__property_past_the_end(void **state)
{
    (void)state;
    make_fit("images", "signature-1", NAME_VALUE);
    file_set_text(&f, TREE_AT + 36, CHY_STR("\0\0\0\3\xff\xff\xff\xff"));
    file_expect_broken(&f, "x.itb", CHY_FORMAT_FIT);
}

/* --- texts --- */

static void test_script(void **state)
{
    static const char mark[] = "# SIG # Begin signature block";
    (void)state;
    file_text(&f, CHY_STR("Write-Host hello\r\n"));
    file_expect(&f, "x.ps1", CHY_FORMAT_POWERSHELL, false);
    file_expect(&f, "X.PSM1", CHY_FORMAT_POWERSHELL, false);
    file_expect(&f, "x.txt", CHY_FORMAT_UNKNOWN, false);
    file_text(&f, chy_str_of(mark));
    file_expect(&f, "x.psd1", CHY_FORMAT_POWERSHELL, true);
    f.n = 0;
    for (size_t i = 0; mark[i] != '\0'; i++)
        file_le(&f, 2, (uint8_t)mark[i]);
    file_expect(&f, "x.ps1", CHY_FORMAT_POWERSHELL, true);
    f.n = 0;
    file_text(&f, CHY_STR("<a/><!-- SIG # Begin signature block -->"));
    file_expect(&f, "x.ps1xml", CHY_FORMAT_POWERSHELL, true);
}

static void test_script__mark_at_the_limit(void **state)
{
    static const char mark[] = "# SIG # Begin signature block";
    (void)state;
    file_text(&f, CHY_STR("x"));
    file_text(&f, chy_str_of(mark));
    file_pad(&f, CHY_LIMIT_FORMAT_TAIL + 1);
    file_expect(&f, "x.ps1", CHY_FORMAT_POWERSHELL, true);
    file_pad(&f, CHY_LIMIT_FORMAT_TAIL + 2);
    file_expect(&f, "x.ps1", CHY_FORMAT_POWERSHELL, false);
}

/* Whatever part of the file it is read with. */
static void test_script__mark_between_two_parts(void **state)
{
    static const char mark[] = "# SIG # Begin signature block";
    (void)state;
    for (size_t at = 4096 - sizeof mark; at <= 4096; at++) {
        f.n = 0;
        file_pad(&f, at);
        file_text(&f, chy_str_of(mark));
        file_pad(&f, at + 4096);
        file_expect(&f, "x.ps1", CHY_FORMAT_POWERSHELL, true);
    }
}

static void test_xml__namespace_between_two_parts(void **state)
{
    static const char name[] = "http://www.w3.org/2000/09/xmldsig#";
    (void)state;
    for (size_t at = 4096 - sizeof name; at <= 4096; at++) {
        f.n = 0;
        file_text(&f, CHY_STR("<?xml"));
        file_pad(&f, at);
        file_text(&f, chy_str_of(name));
        file_pad(&f, 2 * CHY_LIMIT_FORMAT_TAIL);
        file_expect(&f, "", CHY_FORMAT_XML, true);
    }
}

static void test_xml(void **state)
{
    (void)state;
    file_text(&f, CHY_STR("<?xml version='1.0'?><a>"));
    file_expect(&f, "", CHY_FORMAT_XML, false);
    file_text(&f, CHY_STR("<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'/></a>"));
    file_expect(&f, "", CHY_FORMAT_XML, true);
    f.n = 0;
    file_text(&f, CHY_STR("\xef\xbb\xbf<a/>"));
    file_expect(&f, "", CHY_FORMAT_UNKNOWN, false);
    file_expect(&f, "x.xml", CHY_FORMAT_XML, false);
}

static void test_unknown(void **state)
{
    (void)state;
    file_expect(&f, "x.jar", CHY_FORMAT_UNKNOWN, false);
    file_text(&f, CHY_STR("hello"));
    file_expect(&f, "x.exe", CHY_FORMAT_UNKNOWN, false);
}

/* --- the reader --- */

static enum chy_err read_nothing(void *ctx, uint64_t offset, void *to, size_t n, size_t *ret_n,
                                 struct chy_error *err)
{
    (void)ctx;
    (void)offset;
    (void)to;
    (void)n;
    (void)ret_n;
    return chy_fail(err, CHY_E_IO, "the disk is on fire");
}

static void test_recognize__source_fails(void **state)
{
    const struct chy_format_source source = { 100, read_nothing, NULL };
    struct chy_format_facts facts;
    struct chy_error err;
    (void)state;
    assert_int_equal(chy_format_recognize(&source, CHY_STR("x.ps1"), &facts, &err), CHY_E_IO);
    assert_string_equal(err.text, "the disk is on fire");
}

/* A file that shrinks while it is read. */
static enum chy_err read_less(void *ctx, uint64_t offset, void *to, size_t n, size_t *ret_n,
                              struct chy_error *err)
{
    struct file *shorter = ctx;
    struct chy_bytes bytes = { shorter->p, 3 };
    return chy_format_read_memory(&bytes, offset, to, n, ret_n, err);
}

static void test_recognize__source_gives_less(void **state)
{
    const struct chy_format_source source = { 100, read_less, &f };
    struct chy_format_facts facts;
    (void)state;
    file_text(&f, CHY_STR("MZ\0\0"));
    assert_int_equal(chy_format_recognize(&source, CHY_STR(""), &facts, NULL), CHY_OK);
    assert_int_equal(facts.kind, CHY_FORMAT_UNKNOWN);
}

/* A directory that goes round between two places, each of which has to be read anew. */
static void test_recognize__read_limit(void **state)
{
    struct chy_format_facts facts;
    struct chy_error err;
    (void)state;
    make_msi();
    file_pad(&f, 65536);
    file_set_le(&f, 512 + 4, 4, 60);
    file_set_le(&f, 512 + 240, 4, 1);
    assert_int_equal(file_recognize(&f, "", &facts, &err), CHY_E_LIMIT);
    assert_true(f.read <= CHY_LIMIT_FORMAT_READ);
    assert_non_null(strstr(err.text, "67108864 bytes"));
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_pe__plain),
        T(test_pe__efi),
        T(test_pe__signed),
        T(test_pe__no_directory),
        T(test_pe__of_dos),
        T(test_pe__unknown_magic),
        T(test_pe__cut_short),
        T(test_msi__plain_and_signed),
        T(test_msi__something_behind_it),
        T(test_msi__more_fat_sectors_than_the_header_holds),
        T(test_msi__no_sector_is_in_use),
        T(test_msi__other_compound_file),
        T(test_msi__directory_in_a_circle),
        T(test_msi__lists_of_fat_sectors_in_a_circle),
        T(test_msi__no_directory),
        T(test_cab),
        T(test_cat),
        T(test_cat__cut_short),
        T(test_cat__other_signed_data),
        T(test_cat__lengths_that_lie),
        T(test_rpm),
        T(test_rpm__as_many_entries_as_there_may_be),
        T(test_deb),
        T(test_deb__cut_short),
        T(test_deb__other_archive),
        T(test_deb__size_is_no_number),
        T(test_deb__members_at_the_limit),
        T(test_module__each_class_and_order),
        T(test_module__other_elf),
        T(test_module__cut_short),
        T(test_fit),
        T(test_fit__device_tree),
        T(test_fit__cut_short),
        T(test_fit__ends_without_beginnings),
        T(test_fit__property_past_the_end),
        T(test_script),
        T(test_script__mark_at_the_limit),
        T(test_script__mark_between_two_parts),
        T(test_xml__namespace_between_two_parts),
        T(test_xml),
        T(test_unknown),
        T(test_recognize__source_fails),
        T(test_recognize__source_gives_less),
        T(test_recognize__read_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
