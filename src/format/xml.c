/* SPDX-License-Identifier: MIT */
/* XML documents. A signature may stand anywhere in one (XML Signature, section 2): it is looked for
 * by its namespace near the start and near the end. */
#include "base/limits.h"
#include "format/kinds.h"

#define NAMESPACE CHY_STR("http://www.w3.org/2000/09/xmldsig#")

bool format_xml(struct format_reader *r, struct chy_str name, struct chy_format_facts *facts)
{
    uint64_t at = format_has(r, 0, CHY_STR("\xef\xbb\xbf")) ? 3 : 0;
    uint64_t size = r->source->size_bytes;
    bool is_declared = format_has(r, at, CHY_STR("<?xml"));
    if (!is_declared && !(format_name_ends(name, "xml") && format_has(r, at, CHY_STR("<"))))
        return false;
    facts->kind = CHY_FORMAT_XML;
    facts->is_by_name = !is_declared;
    uint64_t tail = size > CHY_LIMIT_FORMAT_TAIL ? size - CHY_LIMIT_FORMAT_TAIL : 0;
    facts->is_signed = format_find(r, 0, CHY_LIMIT_FORMAT_TAIL, NAMESPACE, &at) ||
                       format_find(r, tail, size - tail, NAMESPACE, &at);
    return true;
}
