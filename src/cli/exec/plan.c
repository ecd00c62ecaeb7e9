/* SPDX-License-Identifier: MIT */
#include "base/limits.h"
#include "cli/exec/exec.h"
#include "cli/exec/machine.h"

/* Who we are is the agent's business: the tool gets none of it, secrets least of all. */
static const char *const taken_out[] = {
    "CHANCERY_TOKEN",   "CHANCERY_TOKEN_FILE", "CHANCERY_CERT", "CHANCERY_KEY",
    "CHANCERY_PROFILE", "CHANCERY_URL",        "CHANCERY_CA",
};

#define VARIABLES_MAX CHY_EXEC_VARIABLES
#define INSERTS_MAX   16 /* words that one row puts in */

struct planner {
    const struct chy_exec_setup *setup;
    struct chy_arena *arena;
    struct chy_error *err;
    const struct chy_exec_tool *tool;
    struct chy_str ssh_socket; /* empty: the tool does not speak SSH */
    size_t jar_at;             /* of the word that `where` asked for; 0: none */
    struct chy_str *set;
    size_t n_set;
    struct chy_str inserted[INSERTS_MAX];
    size_t n_inserted;
    bool lacks_stamp;
};

static enum chy_err no_memory(struct planner *p)
{
    return chy_fail(p->err, CHY_E_NOMEM, "no memory for what the tool needs");
}

/* --- words --- */

static bool is_jar_of(struct chy_str word, const char *name)
{
    struct chy_str file = chy_str_base_name(word);
    return chy_str_starts(file, name) && file.n > 4 &&
           chy_str_equal_c((struct chy_str){ file.p + file.n - 4, 4 }, ".jar");
}

/* The word behind -jar, if it is the JAR that the row is for; 0 if not. */
static size_t find_jar(const struct chy_strs *words, const char *name)
{
    for (size_t i = 1; i + 1 < words->n; i++) {
        if (chy_str_equal_c(words->p[i], "-jar"))
            return is_jar_of(words->p[i + 1], name) ? i + 1 : 0;
    }
    return 0;
}

const struct chy_exec_tool *chy_exec_tool_find(const struct chy_strs *words)
{
    struct chy_str name = words->n != 0 ? chy_str_base_name(words->p[0]) : (struct chy_str){ 0 };
    for (size_t i = 0; i < chy_exec_tools_n; i++) {
        const struct chy_exec_tool *t = &chy_exec_tools[i];
        if (chy_str_equal_c(name, t->name) && (t->where == NULL || find_jar(words, t->where) != 0))
            return t;
    }
    return &chy_exec_any_tool;
}

/* "--option", and "--option=value", which sets `ret_value`. */
static bool is_option(const struct planner *p, struct chy_str word, struct chy_str option,
                      struct chy_str *ret_value)
{
    bool any_case = (p->tool->flags & CHY_EXEC_ANY_CASE) != 0;
    if (word.n < option.n)
        return false;
    for (size_t i = 0; i < option.n; i++) {
        char a = word.p[i];
        char b = option.p[i];
        if (any_case && a >= 'A' && a <= 'Z')
            a = (char)(a - 'A' + 'a');
        if (any_case && b >= 'A' && b <= 'Z')
            b = (char)(b - 'A' + 'a');
        if (a != b)
            return false;
    }
    if (word.n > option.n && word.p[option.n] != '=')
        return false;
    *ret_value = word.n > option.n
                     ? (struct chy_str){ word.p + option.n + 1, word.n - option.n - 1 }
                     : (struct chy_str){ 0 };
    return true;
}

/* Whether an option is among the words; its value is "" when nothing follows. */
static bool find_option(const struct planner *p, struct chy_str option, struct chy_str *ret_value)
{
    const struct chy_strs *words = &p->setup->words;
    for (size_t i = p->jar_at + 1; i < words->n; i++) {
        if (!is_option(p, words->p[i], option, ret_value))
            continue;
        if (ret_value->p == NULL && i + 1 < words->n)
            *ret_value = words->p[i + 1];
        return true;
    }
    return false;
}

static bool has_any(const struct planner *p, const char *const *options)
{
    struct chy_str value;
    for (size_t i = 0; options != NULL && options[i] != NULL; i++) {
        if (find_option(p, chy_str_of(options[i]), &value))
            return true;
    }
    return false;
}

static bool has_uri(const struct planner *p, const char *const *options)
{
    struct chy_str value;
    for (size_t i = 0; options[i] != NULL; i++) {
        if (find_option(p, chy_str_of(options[i]), &value) && chy_str_starts(value, "pkcs11:"))
            return true;
    }
    return false;
}

/* A bare word is a subcommand and stands first; "-x=y" is any value of -x but y. */
static bool is_excepted(const struct planner *p, const char *except)
{
    const struct chy_strs *words = &p->setup->words;
    const char *equals = strchr(except, '=');
    struct chy_str value;
    size_t first = p->jar_at + 1;
    if (except[0] != '-')
        return words->n > first && chy_str_equal_c(words->p[first], except);
    if (equals == NULL)
        return find_option(p, chy_str_of(except), &value);
    struct chy_str option = { except, (size_t)(equals - except) };
    return find_option(p, option, &value) && !chy_str_equal_c(value, equals + 1);
}

static bool signs_elsewhere(const struct planner *p)
{
    for (size_t i = 0; p->tool->except != NULL && p->tool->except[i] != NULL; i++) {
        if (is_excepted(p, p->tool->except[i]))
            return true;
    }
    return false;
}

/* --- templates --- */

static enum chy_err no_gpg(const struct chy_exec_tool *tool, struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOT_FOUND,
                    "%s signs by chancery-gpg, which is not beside this program", tool->name);
}

static enum chy_err append_part(struct planner *p, struct chy_str name, struct chy_str old,
                                struct chy_buf *out)
{
    const struct {
        const char *name;
        struct chy_str value;
    } parts[] = {
        { "module", p->setup->module }, { "gpg", p->setup->gpg }, { "dir", p->setup->dir },
        { "ssh", p->ssh_socket },       { "tsa", p->setup->tsa }, { "old", old },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(parts); i++) {
        if (!chy_str_equal_c(name, parts[i].name))
            continue;
        if (parts[i].value.n == 0 && strcmp(parts[i].name, "gpg") == 0)
            return no_gpg(p->tool, p->err);
        chy_buf_append_str(out, parts[i].value);
        return CHY_OK;
    }
    return chy_fail(p->err, CHY_E_INTERNAL, "the table of tools has a {%.*s}", CHY_STR_ARG(name));
}

static enum chy_err expand(struct planner *p, const char *text, struct chy_str old,
                           struct chy_str *ret_text, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, (size_t)4 * CHY_LIMIT_COMMAND);
    while (*text != '\0') {
        size_t n = strcspn(text, "{");
        chy_buf_append(&out, (struct chy_bytes){ (const uint8_t *)text, n });
        text += n;
        size_t end = strcspn(text, "}");
        if (*text == '{') {
            CHY_TRY(append_part(p, (struct chy_str){ text + 1, end - 1 }, old, &out));
            text += end + 1;
        }
    }
    CHY_TRY(chy_buf_check(&out, err));
    struct chy_str made = chy_buf_str(&out);
    while (made.n != 0 && made.p[0] == ' ') { /* before it an {old} that is empty */
        made.p++;
        made.n--;
    }
    *ret_text = chy_arena_str(p->arena, made);
    return ret_text->p != NULL ? CHY_OK : no_memory(p);
}

/* --- variables --- */

static enum chy_err set_variable(struct planner *p, const char *name, struct chy_str value)
{
    CHY_ASSERT(p->n_set < VARIABLES_MAX);
    struct chy_str text = chy_arena_printf(p->arena, "%s=%.*s", name, CHY_STR_ARG(value));
    if (text.p == NULL)
        return no_memory(p);
    p->set[p->n_set++] = text;
    return CHY_OK;
}

static enum chy_err join_keys(struct planner *p, struct chy_str *ret_text)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_DOOR_PATTERNS * (size_t)(CHY_LIMIT_NAME + 1));
    for (size_t i = 0; i < p->setup->keys.n; i++) {
        chy_buf_append_c(&out, i != 0 ? "," : "");
        chy_buf_append_str(&out, p->setup->keys.p[i]);
    }
    CHY_TRY(chy_buf_check(&out, p->err));
    *ret_text = chy_arena_str(p->arena, chy_buf_str(&out));
    return ret_text->p != NULL ? CHY_OK : no_memory(p);
}

static enum chy_err set_ours(struct planner *p)
{
    struct chy_str keys;
    CHY_TRY(join_keys(p, &keys));
    const struct {
        const char *name;
        struct chy_str value;
    } ours[] = {
        { "CHANCERY_AGENT_SOCK", p->setup->socket },
        { "CHANCERY_EXEC_TAG", p->setup->tag },
        { "CHANCERY_REASON", p->setup->reason },
        { "CHANCERY_KEYS", keys },
        { "CHANCERY_NAMING", p->setup->naming },
        { "CHANCERY_RECEIPTS", p->setup->receipts },
        /* libp11's engine and some other programs look there. */
        { "PKCS11_MODULE_PATH", p->setup->module },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(ours); i++) {
        if (ours[i].value.n != 0)
            CHY_TRY(set_variable(p, ours[i].name, ours[i].value));
    }
    return CHY_OK;
}

static bool names_engine(const struct planner *p)
{
    static const char *const engine[] = { "-engine", NULL };
    const struct chy_strs *words = &p->setup->words;
    for (size_t i = 1; i < words->n; i++)
        if (chy_str_starts(words->p[i], "pkcs11:"))
            return true;
    return has_any(p, engine);
}

/* What is not installed is not configured. Of engine and provider one at most: with an engine that
 * is configured, the program openssl takes every RSA and EC key for the engine's, which goes wrong
 * with a provider's, or crashes (3.0). */
static unsigned files_of(const struct planner *p)
{
    unsigned files = p->tool->files;
    bool is_by_uri = (p->tool->flags & CHY_EXEC_BY_URI) != 0;
    if (p->setup->engine.n == 0)
        files &= ~(unsigned)CHY_EXEC_ENGINE;
    if (p->setup->provider.n == 0)
        files &= ~(unsigned)CHY_EXEC_PROVIDER;
    if ((files & CHY_EXEC_OPENSSL) != CHY_EXEC_OPENSSL)
        return files;
    return files & ~(unsigned)(is_by_uri && !names_engine(p) ? CHY_EXEC_ENGINE : CHY_EXEC_PROVIDER);
}

static enum chy_err set_variables(struct planner *p)
{
    CHY_TRY(set_ours(p));
    for (const struct chy_exec_variable *v = p->tool->variables; v->name != NULL; v++) {
        struct chy_str text;
        struct chy_str old = chy_str_of(chy_machine_env(p->setup->environ, v->name));
        if (strcmp(v->name, "OPENSSL_CONF") == 0 && (files_of(p) & CHY_EXEC_OPENSSL) == 0)
            continue;
        CHY_TRY(expand(p, v->value, old, &text, p->err));
        CHY_TRY(set_variable(p, v->name, text));
    }
    return CHY_OK;
}

/* NAME=VALUE; true for what is taken out or set anew. */
static bool is_replaced(const struct planner *p, const char *entry)
{
    struct chy_str name = { entry, strcspn(entry, "=") };
    for (size_t i = 0; i < CHY_ARRAY_LEN(taken_out); i++) {
        if (chy_str_equal_c(name, taken_out[i]))
            return true;
    }
    for (size_t i = 0; i < p->n_set; i++) {
        if (p->set[i].n > name.n && p->set[i].p[name.n] == '=' &&
            chy_str_equal((struct chy_str){ p->set[i].p, name.n }, name))
            return true;
    }
    return false;
}

static enum chy_err make_env(struct planner *p, const char *const **ret_env)
{
    size_t n = 0;
    while (p->setup->environ != NULL && p->setup->environ[n] != NULL)
        n++;
    const char **env = chy_arena_array(p->arena, const char *, n + p->n_set + 1);
    if (env == NULL)
        return no_memory(p);
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_replaced(p, p->setup->environ[i]))
            env[k++] = p->setup->environ[i];
    }
    for (size_t i = 0; i < p->n_set; i++)
        env[k++] = p->set[i].p;
    *ret_env = env;
    return CHY_OK;
}

/* Those of `taken_out` that are there, for --dry-run. */
static enum chy_err list_taken_out(struct planner *p, struct chy_strs *ret_names)
{
    struct chy_str *names = chy_arena_array(p->arena, struct chy_str, CHY_ARRAY_LEN(taken_out));
    if (names == NULL)
        return no_memory(p);
    size_t n = 0;
    for (size_t i = 0; i < CHY_ARRAY_LEN(taken_out); i++) {
        if (chy_machine_env(p->setup->environ, taken_out[i]) != NULL)
            names[n++] = chy_str_of(taken_out[i]);
    }
    *ret_names = (struct chy_strs){ names, n };
    return CHY_OK;
}

/* --- words that are put in --- */

static bool is_wanted(const struct planner *p, const struct chy_exec_insert *insert)
{
    return !has_any(p, insert->unless) && (insert->uri_of == NULL || has_uri(p, insert->uri_of)) &&
           (insert->with == NULL || has_any(p, insert->with));
}

static enum chy_err choose_inserts(struct planner *p)
{
    if (signs_elsewhere(p))
        return CHY_OK;
    for (const struct chy_exec_insert *in = p->tool->inserts; in->words[0] != NULL; in++) {
        if (!is_wanted(p, in))
            continue;
        if (in->is_stamp && p->setup->tsa.n == 0) {
            p->lacks_stamp = true;
            continue;
        }
        if (in->is_engine && p->setup->engine.n == 0)
            return chy_fail(p->err, CHY_E_NOT_FOUND,
                            "%s needs OpenSSL's engine for PKCS#11, which is not installed "
                            "(Debian: libengine-pkcs11-openssl)",
                            p->tool->name);
        for (size_t i = 0; i < CHY_ARRAY_LEN(in->words) && in->words[i] != NULL; i++) {
            CHY_ASSERT(p->n_inserted < INSERTS_MAX);
            CHY_TRY(expand(p, in->words[i], (struct chy_str){ 0 }, &p->inserted[p->n_inserted],
                           p->err));
            p->n_inserted++;
        }
    }
    return CHY_OK;
}

/* How many of the user's words stand before ours. */
static size_t place(const struct planner *p)
{
    size_t at = p->jar_at + 1;
    const struct chy_strs *words = &p->setup->words;
    /* keytool's subcommands look like options. */
    bool is_command = at < words->n && words->p[at].n != 0 &&
                      (words->p[at].p[0] != '-' || (p->tool->flags & CHY_EXEC_ANY_CASE) != 0);
    return (p->tool->flags & CHY_EXEC_AFTER_COMMAND) != 0 && is_command ? at + 1 : at;
}

static enum chy_err make_argv(struct planner *p, struct chy_strs *ret_argv)
{
    const struct chy_strs *words = &p->setup->words;
    size_t before = place(p);
    struct chy_str *argv = chy_arena_array(p->arena, struct chy_str, words->n + p->n_inserted + 1);
    if (argv == NULL)
        return no_memory(p);
    size_t n = 0;
    for (size_t i = 0; i < before; i++)
        argv[n++] = words->p[i];
    for (size_t i = 0; i < p->n_inserted; i++)
        argv[n++] = p->inserted[i];
    for (size_t i = before; i < words->n; i++)
        argv[n++] = words->p[i];
    if (p->tool->program != NULL && !signs_elsewhere(p))
        CHY_TRY(expand(p, p->tool->program, (struct chy_str){ 0 }, &argv[0], p->err));
    *ret_argv = (struct chy_strs){ argv, n };
    return CHY_OK;
}

enum chy_err chy_exec_plan_make(const struct chy_exec_setup *setup, struct chy_arena *arena,
                                struct chy_exec_plan *ret_plan, struct chy_error *err)
{
    struct planner p = { .setup = setup, .arena = arena, .err = err };
    struct chy_exec_plan plan = { 0 };
    p.tool = chy_exec_tool_find(&setup->words);
    p.jar_at = p.tool->where != NULL ? find_jar(&setup->words, p.tool->where) : 0;
    if ((p.tool->flags & CHY_EXEC_SSH) != 0) {
        p.ssh_socket = chy_arena_printf(arena, "%.*s/ssh.sock", CHY_STR_ARG(setup->dir));
        if (p.ssh_socket.p == NULL)
            return no_memory(&p);
    }
    p.set = chy_arena_array(arena, struct chy_str, VARIABLES_MAX);
    if (p.set == NULL)
        return no_memory(&p);
    CHY_TRY(choose_inserts(&p));
    CHY_TRY(set_variables(&p));
    if ((p.tool->files & CHY_EXEC_GPG) != 0 && setup->gpg.n == 0)
        return no_gpg(p.tool, err);
    CHY_TRY(chy_exec_files_make(setup, files_of(&p), arena, &plan, err));
    CHY_TRY(make_argv(&p, &plan.argv));
    CHY_TRY(make_env(&p, &plan.env));
    CHY_TRY(list_taken_out(&p, &plan.unset));
    plan.tool = p.tool;
    plan.ssh_socket = p.ssh_socket;
    plan.lacks_stamp = p.lacks_stamp;
    plan.hint = chy_str_of(p.tool->hint);
    plan.set = (struct chy_strs){ p.set, p.n_set };
    *ret_plan = plan;
    return CHY_OK;
}
