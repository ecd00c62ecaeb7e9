/* SPDX-License-Identifier: MIT */
/* What a file is: the first byte chooses its name, the rest is the file; and the same without its
 * last byte. Nothing is read past the end, nor past the limit. */
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "format/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const names[] = {
    "", "x.jar", "x.msi", "x.ps1", "x.ps1xml", "x.ko", "x.itb", "x.xml", "x.war", "x.nupkg",
};

/* Reads as the real one does, and holds the reader to what it was promised. */
struct watched {
    struct chy_bytes bytes;
    uint64_t read;
};

static enum chy_err read_watched(void *ctx, uint64_t offset, void *to, size_t n, size_t *ret_n,
                                 struct chy_error *err)
{
    struct watched *w = ctx;
    CHY_ASSERT(offset + n <= w->bytes.n);
    w->read += n;
    CHY_ASSERT(w->read <= CHY_LIMIT_FORMAT_READ);
    return chy_format_read_memory(&w->bytes, offset, to, n, ret_n, err);
}

static void recognize(struct chy_bytes bytes, struct chy_str name)
{
    struct watched w = { bytes, 0 };
    const struct chy_format_source source = { bytes.n, read_watched, &w };
    struct chy_format_facts facts;
    struct chy_error err;
    enum chy_err r = chy_format_recognize(&source, name, &facts, &err);
    CHY_ASSERT(r == CHY_OK || r == CHY_E_LIMIT);
    if (r == CHY_OK)
        CHY_ASSERT(chy_schema_check(&chy_format_facts_schema, &facts, NULL) == CHY_OK &&
                   (facts.kind != CHY_FORMAT_UNKNOWN || (!facts.is_signed && facts.fault.n == 0)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    struct chy_bytes bytes = { data + 1, n - 1 };
    struct chy_str name = chy_str_of(names[data[0] % CHY_ARRAY_LEN(names)]);
    recognize(bytes, name);
    if (bytes.n != 0)
        recognize((struct chy_bytes){ bytes.p, bytes.n - 1 }, name);
    return 0;
}
