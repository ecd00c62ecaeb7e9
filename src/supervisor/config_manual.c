/* SPDX-License-Identifier: MIT */
/* Prints chanceryd.yaml(5), mdoc, from the table of the configuration: run when the tree is
 * built. */
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "supervisor/config.h"
#include "supervisor/config_defaults.h"

static const char head[] =
    ".Dd November 21, 2026\n"
    ".Dt CHANCERYD.YAML 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm chanceryd.yaml\n"
    ".Nd configuration of the server chanceryd\n"
    ".Sh DESCRIPTION\n"
    "A YAML document, read strictly: a setting that is unknown, stands twice or\n"
    "has a wrong value is an error with its line.\n"
    "Anchors, aliases and tags are refused.\n"
    "Paths are absolute.\n"
    "No secret stands in it: PINs and keys are in files of their own, which\n"
    "nobody but their owner may read, or in credentials of\n"
    ".Xr systemd.exec 5 .\n"
    ".Pp\n"
    ".Xr chanceryd 8\n"
    "with\n"
    ".Cm init\n"
    "writes a file with every setting in it, those with their defaults as comments.\n"
    ".Cm check\n"
    "tells what is wrong with one.\n"
    "After a change of the TLS certificate send\n"
    ".Dv SIGHUP ;\n"
    "other changes want a restart.\n"
    ".Sh SETTINGS\n";

static const char tail[] = ".Sh SEE ALSO\n"
                           ".Xr chancery 1 ,\n"
                           ".Xr chanceryd 8\n";

/* A line may not begin with what mdoc takes for a macro, and a backslash begins an escape. */
static void text_put(const char *text)
{
    if (text[0] == '.' || text[0] == '\'')
        (void)fputs("\\&", stdout);
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            (void)fputs("\\e", stdout);
        else
            (void)putchar(*text);
        /* mandoc wants each sentence on a line of its own. */
        if ((*text == '.' || *text == ':') && text[1] == ' ')
            (void)putchar('\n'), text++;
    }
    (void)putchar('\n');
}

static void bounds_put(const struct chy_field *f)
{
    if (f->kind == CHY_KIND_U32)
        (void)printf("A number from %llu to %llu.\n", (unsigned long long)f->min,
                     (unsigned long long)f->max);
    if (f->kind == CHY_KIND_BOOL)
        (void)puts("true or false.");
    if (f->kind == CHY_KIND_LIST)
        (void)puts("A list of these:");
    if ((f->flags & CHY_REQUIRED) != 0)
        (void)puts("Must be given.");
}

static void default_put(const struct chy_field *f, const void *complete)
{
    const void *at = chy_field_in(f, complete);
    if (f->kind == CHY_KIND_U32)
        (void)printf("Default: %u.\n", *(const uint32_t *)at);
    else if (f->kind == CHY_KIND_BOOL)
        (void)printf("Default: %s.\n", *(const bool *)at ? "true" : "false");
    else if (f->kind == CHY_KIND_ENUM && chy_field_enum(f, complete) != 0)
        (void)printf("Default: %s.\n", chy_enum_name(f->values, chy_field_enum(f, complete)));
    else if (f->kind == CHY_KIND_STR && (f->flags & CHY_REQUIRED) == 0 &&
             !chy_field_is_empty(f, complete))
        (void)printf("Default:\n.Pa %.*s\n", CHY_STR_ARG(*(const struct chy_str *)at));
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the table of the configuration */
static void fields_put(const struct chy_schema *schema, const void *complete)
{
    (void)puts(".Bl -tag -width indent");
    for (size_t i = 0; i < schema->n; i++) {
        const struct chy_field *f = &schema->fields[i];
        if ((f->flags & CHY_INTERNAL) != 0)
            continue;
        (void)printf(".It Ic %s\n", f->name);
        text_put(f->doc);
        bounds_put(f);
        if (f->kind == CHY_KIND_STRUCT)
            fields_put(f->schema, chy_field_in(f, complete));
        else if (f->kind == CHY_KIND_LIST)
            fields_put(f->schema, ((const struct chy_list *)chy_field_in(f, complete))->p);
        else
            default_put(f, complete);
    }
    (void)puts(".El");
}

/* What the host has for a name is no default for a manual page. */
static enum chy_err example_make(struct chy_config *config, struct chy_arena *arena)
{
    static const struct chy_config_token token = { .name = { "NAME", 4 } };
    *config = (struct chy_config){
        .data = CHY_STR("DATA"),
        .node = CHY_STR("HOST"),
        .tokens = { &token, 1 },
    };
    return chy_config_complete(config, arena, NULL);
}

int main(void)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_config config;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    if (example_make(&config, &arena) != CHY_OK)
        return EXIT_FAILURE;
    (void)puts(".\\\" SPDX-License-Identifier: MIT\n"
               ".\\\" Made from src/supervisor/config.c when the tree is built.");
    (void)fputs(head, stdout);
    fields_put(&chy_config_schema, &config);
    (void)fputs(tail, stdout);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
