/* SPDX-License-Identifier: MIT */
/* HTTP/1.1: requests one after another, read in pieces and all at once. Both ways must agree,
 * nothing may be used that was not given, and whatever is accepted is clean enough to be taken
 * apart. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "front/http1.h"
#include "front/target.h"

#define BODY_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct chy_http_request whole;
static struct chy_http_request pieces;

static void check_request(const struct chy_http_request *r, struct chy_arena *arena)
{
    static struct chy_target target;
    CHY_ASSERT(r->body.n == r->content_length && r->body.n <= BODY_MAX);
    CHY_ASSERT(chy_http_field_find(r, "transfer-encoding") == NULL);
    CHY_ASSERT(chy_http_is_host(r->host) && chy_http_is_target(r->target));
    for (size_t i = 0; i < r->field_count; i++)
        CHY_ASSERT(chy_http_is_token(r->fields[i].name) &&
                   chy_http_is_field_value(r->fields[i].value));
    if (chy_target_parse(r->target, arena, &target, NULL) != CHY_OK)
        return;
    for (size_t i = 0; i < target.segment_count; i++)
        CHY_ASSERT(chy_text_is_plain(target.segments[i]) &&
                   !chy_str_equal_c(target.segments[i], ".."));
    for (size_t i = 0; i < target.param_count; i++)
        CHY_ASSERT(chy_text_is_plain(target.params[i].name) && target.params[i].name.n > 0);
}

static enum chy_http1_step read_in_pieces(struct chy_bytes in, size_t *ret_used,
                                          struct chy_http1 *h)
{
    enum chy_http1_step step = CHY_HTTP1_STEP_HEAD;
    chy_http1_init(h, BODY_MAX);
    for (size_t n = 1; n <= in.n && step < CHY_HTTP1_STEP_READY; n++)
        step = chy_http1_read(h, (struct chy_bytes){ in.p, n }, &pieces, ret_used);
    return step;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct chy_bytes in = { data, n };
    struct chy_arena arena;
    struct chy_http1 a;
    struct chy_http1 b;
    chy_arena_init(&arena, CHY_LIMIT_HTTP_HEAD * 2);
    while (in.n > 0) {
        size_t used_a = 0;
        size_t used_b = 0;
        chy_http1_init(&a, BODY_MAX);
        enum chy_http1_step step = chy_http1_read(&a, in, &whole, &used_a);
        CHY_ASSERT(read_in_pieces(in, &used_b, &b) == step && used_a == used_b);
        CHY_ASSERT(step != CHY_HTTP1_STEP_REFUSED || a.why.status == b.why.status);
        if (step != CHY_HTTP1_STEP_READY)
            break;
        CHY_ASSERT(used_a > 0 && used_a <= in.n);
        check_request(&whole, &arena);
        in = (struct chy_bytes){ in.p + used_a, in.n - used_a };
    }
    chy_arena_done(&arena);
    return 0;
}
