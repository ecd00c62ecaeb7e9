/* SPDX-License-Identifier: MIT */
#include "policy/command.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/limits.h"
#include "base/mem.h"

enum {
    NESTING_MAX = 32 /* parentheses: PCRE2 parses them recursively */
};

struct chy_command {
    struct chy_command *next;
    pcre2_code *code;
    struct chy_str pattern;
};

static void *take_memory(size_t n, void *unused)
{
    (void)unused;
    return chy_malloc(n);
}

static void give_memory(void *p, void *unused)
{
    (void)unused;
    chy_free(p);
}

static void compile_context_freep(pcre2_compile_context **c)
{
    pcre2_compile_context_free(*c);
}

static void match_data_freep(pcre2_match_data **d)
{
    pcre2_match_data_free(*d);
}

enum chy_err chy_command_set_init(struct chy_command_set *set, struct chy_error *err)
{
    *set = (struct chy_command_set){ 0 };
    set->context = pcre2_general_context_create(take_memory, give_memory, NULL);
    if (set->context != NULL)
        set->limits = pcre2_match_context_create(set->context);
    if (set->limits == NULL) {
        chy_command_set_done(set);
        return chy_fail(err, CHY_E_NOMEM, "no memory for patterns of command lines");
    }
    return CHY_OK;
}

void chy_command_set_done(struct chy_command_set *set)
{
    while (set->first != NULL) {
        struct chy_command *c = set->first;
        set->first = c->next;
        pcre2_code_free(c->code);
        chy_free(c);
    }
    pcre2_match_context_free(set->limits);
    pcre2_general_context_free(set->context);
    *set = (struct chy_command_set){ 0 };
}

static enum chy_err compile(const struct chy_command_set *set, struct chy_str pattern,
                            pcre2_code **ret_code, struct chy_error *err)
{
    /* \C could cut a character in two. No capture is ever asked for. */
    const uint32_t options = PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY |
                             PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_BACKSLASH_C;
    CHY_CLEANUP(compile_context_freep)
    pcre2_compile_context *context = pcre2_compile_context_create(set->context);
    if (context == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a pattern");
    pcre2_set_parens_nest_limit(context, NESTING_MAX);
    pcre2_set_max_pattern_length(context, CHY_LIMIT_PATTERN);

    int number;
    PCRE2_SIZE at;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, options, &number, &at, context);
    if (code == NULL && number == PCRE2_ERROR_HEAP_FAILED)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a pattern");
    if (code == NULL) {
        char text[128] = "";
        pcre2_get_error_message(number, (PCRE2_UCHAR *)text, sizeof text);
        return chy_fail(err, CHY_E_MALFORMED, "the pattern is wrong at character %zu: %s", at + 1,
                        text);
    }
    *ret_code = code;
    return CHY_OK;
}

enum chy_err chy_command_set_add(struct chy_command_set *set, struct chy_str pattern,
                                 const struct chy_command **ret_command, struct chy_error *err)
{
    struct chy_command *c = chy_new(struct chy_command);
    if (c == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a pattern");
    c->pattern = pattern;
    c->next = set->first;
    set->first = c;
    set->n++;
    CHY_TRY(compile(set, pattern, &c->code, err));

    size_t bytes = 0;
    if (pcre2_pattern_info(c->code, PCRE2_INFO_SIZE, &bytes) != 0)
        return chy_fail(err, CHY_E_INTERNAL, "a pattern has no size");
    set->bytes += bytes;
    if (set->bytes > CHY_LIMIT_COMPILED_PATTERNS)
        return chy_fail(err, CHY_E_LIMIT, "the patterns of command lines take over %d bytes",
                        CHY_LIMIT_COMPILED_PATTERNS);
    *ret_command = c;
    return CHY_OK;
}

void chy_command_set_seal(struct chy_command_set *set)
{
    size_t steps = CHY_LIMIT_MATCH_STEPS / CHY_MAX(set->n, (size_t)1);
    steps = CHY_MIN(steps, (size_t)CHY_LIMIT_MATCH_STEPS_MAX);
    steps = CHY_MAX(steps, (size_t)CHY_LIMIT_MATCH_STEPS_MIN);
    pcre2_set_match_limit(set->limits, (uint32_t)steps);
    pcre2_set_depth_limit(set->limits, (uint32_t)steps);
    pcre2_set_heap_limit(set->limits, CHY_LIMIT_MATCH_HEAP_KIB);
}

enum chy_truth chy_command_match(const struct chy_command_set *set,
                                 const struct chy_command *command, struct chy_str text)
{
    CHY_CLEANUP(match_data_freep)
    pcre2_match_data *data = pcre2_match_data_create(1, set->context);
    if (data == NULL || text.n > CHY_LIMIT_COMMAND)
        return CHY_TRUTH_UNKNOWN;
    PCRE2_SPTR subject = (PCRE2_SPTR)(text.p != NULL ? text.p : "");
    int r = pcre2_match(command->code, subject, text.n, 0, 0, data, set->limits);
    if (r >= 0)
        return CHY_TRUTH_YES;
    return r == PCRE2_ERROR_NOMATCH ? CHY_TRUTH_NO : CHY_TRUTH_UNKNOWN;
}

struct chy_str chy_command_pattern(const struct chy_command *command)
{
    return command->pattern;
}

enum chy_err chy_command_check(struct chy_str pattern, struct chy_error *err)
{
    CHY_CLEANUP(chy_command_set_done) struct chy_command_set set = { 0 };
    const struct chy_command *c;
    CHY_TRY(chy_command_set_init(&set, err));
    return chy_command_set_add(&set, pattern, &c, err);
}
