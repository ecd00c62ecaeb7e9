/* SPDX-License-Identifier: MIT */
#include "front/openapi.h"

#include <stdio.h>
#include <string.h>

#include "doc/doc.h"
#include "front/problem.h"
#include "front/signserver_api.h"
#include "proto/ops.h"

#define SCHEMAS_MAX 128 /* we have about 50 */

/* The schemas that were met, each once. */
struct schemas {
    const struct chy_schema *p[SCHEMAS_MAX];
    size_t n;
};

static void meet(struct schemas *met, const struct chy_schema *schema)
{
    for (size_t i = 0; i < met->n; i++)
        if (met->p[i] == schema)
            return;
    CHY_ASSERT(met->n < SCHEMAS_MAX);
    met->p[met->n++] = schema;
}

/* A member of JSON documents: neither internal nor part of the URL. */
static bool is_member(const struct chy_field *f)
{
    return (f->flags & (CHY_INTERNAL | CHY_IN_PATH | CHY_IN_QUERY)) == 0;
}

static void write_name(struct chy_buf *out, const char *name)
{
    chy_json_write_text(out, chy_str_of(name));
    chy_buf_append_c(out, ":");
}

static void write_text(struct chy_buf *out, const char *name, const char *text)
{
    write_name(out, name);
    chy_json_write_text(out, chy_str_of(text));
}

static void write_ref(struct chy_buf *out, const struct chy_schema *schema)
{
    chy_buf_printf(out, "{\"$ref\":\"#/components/schemas/%s\"}", schema->name);
}

static void write_range(struct chy_buf *out, const char *low, const char *high,
                        const struct chy_field *f)
{
    if (f->min > 0)
        chy_buf_printf(out, ",\"%s\":%llu", low, (unsigned long long)f->min);
    if (f->max > 0 && f->max <= INT64_MAX)
        chy_buf_printf(out, ",\"%s\":%llu", high, (unsigned long long)f->max);
}

static void write_enum(struct chy_buf *out, const struct chy_enum *values)
{
    chy_buf_append_c(out, "\"type\":\"string\",\"enum\":[");
    for (size_t i = 0; i < values->n; i++) {
        chy_buf_append_c(out, i > 0 ? "," : "");
        chy_json_write_text(out, chy_str_of(values->values[i].name));
    }
    chy_buf_append_c(out, "]");
}

/* The members of a field's schema object, without its braces. */
static void write_kind(struct chy_buf *out, const struct chy_field *f)
{
    switch (f->kind) {
    case CHY_KIND_BOOL:
        chy_buf_append_c(out, "\"type\":\"boolean\"");
        break;
    case CHY_KIND_U32:
    case CHY_KIND_U64:
        chy_buf_append_c(out, "\"type\":\"integer\"");
        write_range(out, "minimum", "maximum", f);
        break;
    case CHY_KIND_TIME:
        chy_buf_append_c(out, "\"type\":\"string\",\"format\":\"date-time\"");
        break;
    case CHY_KIND_ENUM:
        write_enum(out, f->values);
        break;
    case CHY_KIND_STR:
        chy_buf_append_c(out, "\"type\":\"string\"");
        write_range(out, "minLength", "maxLength", f);
        break;
    case CHY_KIND_BYTES:
        chy_buf_append_c(out, "\"type\":\"string\",\"contentEncoding\":\"base64\"");
        break;
    case CHY_KIND_HEX:
        chy_buf_append_c(out, "\"type\":\"string\",\"pattern\":\"^([0-9a-f]{2})*$\"");
        break;
    case CHY_KIND_HASH:
        chy_buf_append_c(out, "\"type\":\"string\",\"pattern\":\"^[0-9a-f]{64}$\"");
        break;
    case CHY_KIND_ID:
        chy_buf_append_c(out, "\"type\":\"string\",\"pattern\":\"^[0-9a-f]{32}$\"");
        break;
    case CHY_KIND_STRUCT:
    case CHY_KIND_OPTION:
        chy_buf_printf(out, "\"$ref\":\"#/components/schemas/%s\"", f->schema->name);
        break;
    case CHY_KIND_LIST:
        if ((f->flags & CHY_AS_MAP) != 0) {
            chy_buf_append_c(out,
                             "\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}");
            break;
        }
        chy_buf_append_c(out, "\"type\":\"array\",\"items\":");
        write_ref(out, f->schema);
        write_range(out, "minItems", "maxItems", f);
        break;
    case CHY_KIND_STRS:
        chy_buf_printf(out,
                       "\"type\":\"array\",\"maxItems\":%llu,\"items\":{\"type\":\"string\","
                       "\"maxLength\":%llu}",
                       (unsigned long long)f->max, (unsigned long long)f->min);
        break;
    }
}

static void write_field(struct chy_buf *out, const struct chy_field *f)
{
    chy_buf_append_c(out, "{");
    write_kind(out, f);
    if (f->doc != NULL) {
        chy_buf_append_c(out, ",");
        write_text(out, "description", f->doc);
    }
    chy_buf_append_c(out, "}");
}

static void write_required(struct chy_buf *out, const struct chy_schema *schema)
{
    size_t n = 0;
    for (size_t i = 0; i < schema->n; i++) {
        const struct chy_field *f = &schema->fields[i];
        if (!is_member(f) || (f->flags & CHY_REQUIRED) == 0)
            continue;
        chy_buf_append_c(out, n++ == 0 ? ",\"required\":[" : ",");
        chy_json_write_text(out, chy_str_of(f->name));
    }
    if (n > 0)
        chy_buf_append_c(out, "]");
}

static void write_schema(struct chy_buf *out, const struct chy_schema *schema, struct schemas *met)
{
    write_name(out, schema->name);
    chy_buf_append_c(out, "{\"type\":\"object\"");
    if (schema->doc != NULL) {
        chy_buf_append_c(out, ",");
        write_text(out, "description", schema->doc);
    }
    chy_buf_append_c(out, ",\"properties\":{");
    size_t n = 0;
    for (size_t i = 0; i < schema->n; i++) {
        const struct chy_field *f = &schema->fields[i];
        if (!is_member(f))
            continue;
        chy_buf_append_c(out, n++ > 0 ? "," : "");
        write_name(out, f->name);
        write_field(out, f);
        if (f->schema != NULL && (f->flags & CHY_AS_MAP) == 0)
            meet(met, f->schema);
    }
    chy_buf_append_c(out, "}");
    write_required(out, schema);
    chy_buf_append_c(out, "}");
}

static bool has_body(const struct chy_op_row *row)
{
    for (size_t i = 0; i < row->request->n; i++)
        if (is_member(&row->request->fields[i]))
            return row->method == CHY_HTTP_POST || row->method == CHY_HTTP_PUT;
    return false;
}

static void write_parameters(struct chy_buf *out, const struct chy_op_row *row)
{
    size_t n = 0;
    for (size_t i = 0; i < row->request->n; i++) {
        const struct chy_field *f = &row->request->fields[i];
        bool in_path = (f->flags & CHY_IN_PATH) != 0;
        if (!in_path && (f->flags & CHY_IN_QUERY) == 0)
            continue;
        chy_buf_append_c(out, n++ == 0 ? ",\"parameters\":[{" : ",{");
        write_text(out, "name", f->name);
        chy_buf_printf(out,
                       ",\"in\":\"%s\",\"required\":%s,\"schema\":", in_path ? "path" : "query",
                       in_path ? "true" : "false");
        write_field(out, f);
        chy_buf_append_c(out, "}");
    }
    if (n > 0)
        chy_buf_append_c(out, "]");
}

static void write_operation(struct chy_buf *out, const struct chy_op_row *row, struct schemas *met)
{
    for (const char *c = chy_http_method_name(row->method); *c != '\0'; c++)
        chy_buf_append_u8(out, (uint8_t)(*c - 'A' + 'a'));
    /* The caller has opened the name. */
    chy_buf_append_c(out, "\":{");
    write_text(out, "operationId", row->id);
    chy_buf_append_c(out, ",");
    write_text(out, "summary", row->doc);
    write_parameters(out, row);
    if (has_body(row)) {
        chy_buf_append_c(out, ",\"requestBody\":{\"required\":true,\"content\":"
                              "{\"application/json\":{\"schema\":");
        write_ref(out, row->request);
        chy_buf_append_c(out, "}}}");
        meet(met, row->request);
    }
    if ((row->may & CHY_MAY_ANYBODY) != 0)
        chy_buf_append_c(out, ",\"security\":[]");
    chy_buf_append_c(out, ",\"responses\":{\"200\":{\"description\":\"Done.\",\"content\":");
    if (row->is_raw) {
        chy_buf_append_c(out, "{\"*/*\":{}}");
    } else {
        chy_buf_append_c(out, "{\"application/json\":{\"schema\":");
        write_ref(out, row->response);
        chy_buf_append_c(out, "}}");
        meet(met, row->response);
    }
    chy_buf_append_c(out, "},\"default\":{\"$ref\":\"#/components/responses/problem\"}}}");
}

static bool is_first_of_path(size_t row)
{
    for (size_t i = 0; i < row; i++)
        if (strcmp(chy_op_rows[i].path, chy_op_rows[row].path) == 0)
            return false;
    return true;
}

/* "/log/tile/{path...}" is written "/log/tile/{path}": OpenAPI has no name for the rest of a path.
 * */
static void write_path(struct chy_buf *out, const char *path)
{
    const char *dots = strstr(path, "...}");
    struct chy_str head = { path, dots != NULL ? (size_t)(dots - path) : strlen(path) };
    chy_buf_append_c(out, "\"");
    chy_buf_append_str(out, head);
    chy_buf_append_c(out, dots != NULL ? "}\":{" : "\":{");
}

static void write_paths(struct chy_buf *out, struct schemas *met)
{
    for (size_t i = 0; i < chy_op_rows_n; i++) {
        if (!is_first_of_path(i))
            continue;
        chy_buf_append_c(out, i > 0 ? "," : "");
        write_path(out, chy_op_rows[i].path);
        size_t n = 0;
        for (size_t j = i; j < chy_op_rows_n; j++) {
            if (strcmp(chy_op_rows[i].path, chy_op_rows[j].path) != 0)
                continue;
            chy_buf_append_c(out, n++ > 0 ? ",\"" : "\"");
            write_operation(out, &chy_op_rows[j], met);
        }
        chy_buf_append_c(out, "}");
    }
}

static const char problem_text[] =
    "\"responses\":{\"problem\":{\"description\":\"Refused or failed; RFC 9457.\",\"content\":"
    "{\"" CHY_PROBLEM_CONTENT_TYPE "\":{\"schema\":{\"type\":\"object\","
    "\"required\":[\"type\",\"title\",\"status\",\"detail\",\"request_id\"],\"properties\":{"
    "\"type\":{\"type\":\"string\",\"format\":\"uri\",\"description\":\"" CHY_PROBLEM_TYPE
    "NAME\"},\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},"
    "\"detail\":{\"type\":\"string\"},\"request_id\":{\"type\":\"string\"},"
    "\"result\":{\"type\":\"object\"}}}}}}}";

static void write_signserver(struct chy_buf *out, struct schemas *met)
{
    chy_buf_append_c(out, ",\"" CHY_SIGNSERVER_PATH
                          "\":{\"post\":{\"operationId\":\"signserver.process\",\"summary\":"
                          "\"Sign as SignServer does, a worker being a key.\",\"security\":["
                          "{\"certificate\":[]},{\"token\":[]},{\"password\":[]}],\"parameters\":["
                          "{\"name\":\"name\",\"in\":\"path\",\"required\":true,\"schema\":"
                          "{\"type\":\"string\"}}],\"requestBody\":{\"required\":true,\"content\":"
                          "{\"application/json\":{\"schema\":");
    write_ref(out, &chy_signserver_request_schema);
    chy_buf_append_c(out, "}}},\"responses\":{\"200\":{\"description\":\"Done.\",\"content\":"
                          "{\"application/json\":{\"schema\":");
    write_ref(out, &chy_signserver_answer_schema);
    chy_buf_append_c(out, "}}},\"default\":{\"description\":\"Refused or failed.\",\"content\":"
                          "{\"application/json\":{\"schema\":");
    write_ref(out, &chy_signserver_error_schema);
    chy_buf_append_c(out, "}}}}}}");
    meet(met, &chy_signserver_request_schema);
    meet(met, &chy_signserver_answer_schema);
    meet(met, &chy_signserver_error_schema);
}

enum chy_err chy_openapi_write(struct chy_str version, bool signserver, struct chy_buf *out,
                               struct chy_error *err)
{
    struct schemas met = { .n = 0 };
    chy_buf_append_c(out, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Chancery\",\"version\":");
    chy_json_write_text(out, version);
    chy_buf_append_c(out, "},\"security\":[{\"certificate\":[]},{\"token\":[]}],\"paths\":{");
    write_paths(out, &met);
    if (signserver)
        write_signserver(out, &met);
    chy_buf_append_c(out, "},\"components\":{\"securitySchemes\":{\"certificate\":{\"type\":"
                          "\"mutualTLS\"},\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"}");
    if (signserver)
        chy_buf_append_c(out, ",\"password\":{\"type\":\"http\",\"scheme\":\"basic\"}");
    chy_buf_append_c(out, "},");
    chy_buf_append_c(out, problem_text);
    chy_buf_append_c(out, ",\"schemas\":{");
    for (size_t i = 0; i < met.n; i++) { /* grows as it is written */
        chy_buf_append_c(out, i > 0 ? "," : "");
        write_schema(out, met.p[i], &met);
    }
    chy_buf_append_c(out, "}}}\n");
    return chy_buf_check(out, err);
}
