/* SPDX-License-Identifier: MIT */
/* Which tests of a policy are equal, that is, get the same answer whatever the request. */
#include <stdlib.h>

#include "base/mem.h"
#include "policy/match.h"

struct place {
    struct chy_test *test;
    uint16_t *answer;
};

static int compare_numbers(uintptr_t a, uintptr_t b)
{
    return (a > b) - (a < b);
}

static int compare_networks(const struct chy_network *a, const struct chy_network *b)
{
    int c = chy_bytes_compare((struct chy_bytes){ a->address, sizeof a->address },
                              (struct chy_bytes){ b->address, sizeof b->address });
    return c != 0 ? c : compare_numbers(a->bits, b->bits);
}

/* Values of one kind of test. Equal windows were compiled once; equal command patterns were not. */
static int compare_value(const struct chy_test *a, const struct chy_test *b, size_t i)
{
    if (a->kind == CHY_TEST_NETWORK)
        return compare_networks(&a->values.networks[i], &b->values.networks[i]);
    if (a->kind == CHY_TEST_WINDOW)
        return compare_numbers((uintptr_t)a->values.windows[i], (uintptr_t)b->values.windows[i]);
    if (a->kind == CHY_TEST_COMMAND)
        return chy_str_compare(chy_command_pattern(a->values.commands[i]),
                               chy_command_pattern(b->values.commands[i]));
    return chy_str_compare(a->values.patterns[i].text, b->values.patterns[i].text);
}

/* Values of a document are in order, so equal sets of them stand alike. */
static int compare_tests(const struct chy_test *a, const struct chy_test *b)
{
    int c = compare_numbers(a->kind, b->kind);
    c = c != 0 ? c : compare_numbers(a->is_strict, b->is_strict);
    c = c != 0 ? c : compare_numbers(a->need, b->need);
    c = c != 0 ? c : compare_numbers(a->n, b->n);
    c = c != 0 ? c : chy_str_compare(a->name, b->name);
    for (size_t i = 0; c == 0 && i < a->n; i++)
        c = compare_value(a, b, i);
    return c;
}

static int compare_places(const void *a, const void *b)
{
    return compare_tests(((const struct place *)a)->test, ((const struct place *)b)->test);
}

/* Each run of equal ones, longer than one, gets the next number. */
static void number_runs(const struct place *places, size_t n)
{
    uint16_t next = 1;
    for (size_t from = 0, to; from < n && next < CHY_TEST_ANSWERS; from = to) {
        for (to = from + 1; to < n && compare_places(&places[from], &places[to]) == 0; to++)
            ;
        if (to - from == 1)
            continue;
        for (size_t i = from; i < to; i++)
            *places[i].answer = next;
        next++;
    }
}

/* Labels and facts are of few names. */
static void number_names(const struct place *places, size_t n)
{
    const struct chy_test *known[CHY_TEST_STATEMENTS];
    unsigned count = 1; /* 0 is none */
    for (size_t i = 0; i < n; i++) {
        struct chy_test *test = places[i].test;
        if (test->kind != CHY_TEST_LABEL && test->kind != CHY_TEST_FACT)
            continue;
        unsigned k = 1;
        while (k < count &&
               (known[k]->kind != test->kind || !chy_str_equal(known[k]->name, test->name)))
            k++;
        if (k == CHY_TEST_STATEMENTS)
            continue;
        known[k] = test;
        count = CHY_MAX(count, k + 1);
        test->statement = (uint8_t)k;
    }
}

enum chy_err chy_match_share(struct chy_test_set *const *sets, size_t n, struct chy_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += sets[i]->n;
    CHY_CLEANUP(chy_freep) struct place *places = chy_new_array(struct place, total + 1);
    if (places == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a policy");
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sets[i]->n; k++)
            places[at++] = (struct place){ &sets[i]->p[k], &sets[i]->answers[k] };
    qsort(places, total, sizeof *places, compare_places);
    number_runs(places, total);
    number_names(places, total);
    return CHY_OK;
}
