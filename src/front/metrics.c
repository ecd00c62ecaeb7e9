/* SPDX-License-Identifier: MIT */
#include "front/server.h"
#include "os/clock.h"

static void write_head(struct chy_buf *out, const char *name, const char *type, const char *help)
{
    chy_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_one(struct chy_buf *out, const char *name, const char *type, const char *help,
                      uint64_t value)
{
    write_head(out, name, type, help);
    chy_buf_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void write_own(const struct front *f, struct chy_buf *out)
{
    struct chy_conn_counts n = chy_conns_counts(f->conns);
    write_one(out, "chancery_connections", "gauge", "Open connections.", n.open);
    write_one(out, "chancery_connections_total", "counter", "Connections accepted.", n.accepted);
    write_one(out, "chancery_connections_turned_away_total", "counter",
              "Connections closed at once for lack of room.", n.turned_away);
    write_one(out, "chancery_connections_made_room_total", "counter",
              "Idle connections closed to make room for a new one.", n.made_room);
    write_one(out, "chancery_tls_failures_total", "counter", "Handshakes that broke off.",
              n.tls_failed);
    write_one(out, "chancery_tls_resumptions_total", "counter", "Handshakes shortened by a ticket.",
              n.tls_resumed);
    write_one(out, "chancery_timeouts_total", "counter",
              "Connections closed because the peer was too slow.", n.timed_out);
    write_one(out, "chancery_calls", "gauge", "Requests being worked on.",
              chy_calls_count(f->calls));
    write_one(out, "chancery_calls_late_total", "counter", "Requests answered by a deadline.",
              f->calls_late);
    if (f->tls != NULL)
        write_one(out, "chancery_tls_certificate_not_after_seconds", "gauge",
                  "When the server's TLS certificate ends, seconds since 1970.",
                  (uint64_t)chy_tls_server_not_after_us(f->tls) / 1000000);
    write_head(out, "chancery_http_responses_total", "counter", "Answers by status.");
    for (int i = 0; i < FRONT_STATUSES; i++)
        if (f->answers[i] > 0)
            chy_buf_printf(out, "chancery_http_responses_total{status=\"%d\"} %llu\n", i,
                           (unsigned long long)f->answers[i]);
}

/* A backend names its counters; those of one name stand together. */
static void write_backend(const struct front_backend *b, struct chy_buf *out)
{
    struct chy_str last = { 0 };
    for (size_t i = 0; i < b->status.counters.n; i++) {
        const struct chy_counter *c = &b->status.counters.p[i];
        if (!chy_str_equal(c->name, last))
            chy_buf_printf(out, "# HELP %.*s %.*s\n# TYPE %.*s %s\n", CHY_STR_ARG(c->name),
                           CHY_STR_ARG(c->help), CHY_STR_ARG(c->name),
                           c->is_gauge ? "gauge" : "counter");
        last = c->name;
        chy_buf_append_str(out, c->name);
        if (c->labels.n > 0)
            chy_buf_printf(out, "{%.*s}", CHY_STR_ARG(c->labels));
        chy_buf_printf(out, " %llu\n", (unsigned long long)c->value);
    }
}

void front_metrics_write(const struct front *f, int64_t now_us, struct chy_buf *out)
{
    struct chy_str why;
    write_own(f, out);
    write_head(out, "chancery_ready", "gauge", "Whether a process is ready to serve.");
    chy_buf_printf(out, "chancery_ready{process=\"signer\"} %d\n",
                   front_backend_is_ready(&f->signer, now_us, &why));
    chy_buf_printf(out, "chancery_ready{process=\"query\"} %d\n",
                   front_backend_is_ready(&f->query, now_us, &why));
    write_backend(&f->signer, out);
    write_backend(&f->query, out);
}
