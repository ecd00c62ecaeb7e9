/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "client/settings.h"
#include "os/file.h"
#include "temp_dir.h"

static struct temp_dir home;
static struct chy_arena arena;
static struct chy_client_env env;
static struct chy_settings settings;
static struct chy_error err;

static int setup(void **state)
{
    (void)state;
    temp_dir_make(&home);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    env = (struct chy_client_env){ .home = home.path };
    assert_int_equal(chy_dir_make(home.fd, ".config", 0700, NULL), CHY_OK);
    assert_int_equal(chy_dir_make(home.fd, ".config/chancery", 0700, NULL), CHY_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_settings_done(&settings);
    chy_arena_done(&arena);
    temp_dir_remove(&home);
    return 0;
}

static void put(const char *path, const char *text, mode_t mode)
{
    assert_int_equal(chy_file_replace(home.fd, path, chy_str_bytes(chy_str_of(text)), mode, NULL),
                     CHY_OK);
}

static void put_config(const char *text)
{
    put(".config/chancery/config.yaml", text, 0600);
}

static const char two_profiles[] = "profile: second\n"
                                   "profiles:\n"
                                   "  - name: first\n"
                                   "    url: https://one.example\n"
                                   "    ca: /ca-of-one\n"
                                   "  - name: second\n"
                                   "    url: https://two.example:8443\n"
                                   "    pin: PIN\n"
                                   "    certificate: /c\n"
                                   "    key: /k\n"
                                   "    principal: alice\n"
                                   "    log_key: vkey\n";

static enum chy_err load(const char *profile, const char *url)
{
    struct chy_settings_options options = { chy_str_of(profile), chy_str_of(url) };
    chy_settings_done(&settings);
    return chy_settings_load(&env, &options, &arena, &settings, &err);
}

static void assert_str(struct chy_str s, const char *expected)
{
    if (!chy_str_equal_c(s, expected))
        fail_msg("\"%.*s\" is not \"%s\"", CHY_STR_ARG(s), expected);
}

static void test_load__without_a_file(void **state)
{
    (void)state;
    assert_int_equal(load("", ""), CHY_OK);
    assert_str(settings.profile.name, "default");
    assert_str(settings.profile.url, "");
    assert_false(settings.has_profile_entry);
}

static void test_load__without_a_home(void **state)
{
    (void)state;
    env = (struct chy_client_env){ .url = "https://ci.example" };
    assert_int_equal(load("", ""), CHY_OK);
    assert_str(settings.profile.url, "https://ci.example");
}

static void test_load__profile_of_the_file(void **state)
{
    (void)state;
    put_config(two_profiles);
    assert_int_equal(load("", ""), CHY_OK);
    assert_str(settings.profile.name, "second");
    assert_str(settings.profile.url, "https://two.example:8443");
    assert_str(settings.profile.principal, "alice");
    assert_str(settings.profile.log_key, "vkey");
}

/* Command line, environment, file: each goes before the next. */
static void test_load__precedence_of_the_profile(void **state)
{
    (void)state;
    put_config(two_profiles);
    env.profile = "first";
    assert_int_equal(load("", ""), CHY_OK);
    assert_str(settings.profile.url, "https://one.example");
    env.profile = "second";
    assert_int_equal(load("first", ""), CHY_OK);
    assert_str(settings.profile.url, "https://one.example");
}

static void test_load__precedence_of_the_url(void **state)
{
    (void)state;
    put_config(two_profiles);
    env.url = "https://env.example/";
    assert_int_equal(load("", ""), CHY_OK);
    assert_str(settings.profile.url, "https://env.example");
    assert_int_equal(load("", "https://line.example"), CHY_OK);
    assert_str(settings.profile.url, "https://line.example");
}

static void test_load__credential_stays_with_its_server(void **state)
{
    (void)state;
    put_config(two_profiles);
    env.url = "https://other.example";
    assert_int_equal(load("", ""), CHY_OK);
    assert_str(settings.profile.pin, "");
    assert_str(settings.profile.key, "");
    assert_str(settings.profile.certificate, "");
    assert_str(settings.profile.log_key, "");
    env.url = "https://two.example:8443/";
    assert_int_equal(load("", ""), CHY_OK);
    assert_str(settings.profile.pin, "PIN");
    assert_str(settings.profile.key, "/k");
}

static void test_load__environment_over_profile(void **state)
{
    (void)state;
    put_config(two_profiles);
    env.ca = "/env-ca";
    env.certificate = "/env-c";
    env.key = "/env-k";
    assert_int_equal(load("", ""), CHY_OK);
    assert_str(settings.profile.ca, "/env-ca");
    assert_str(settings.profile.certificate, "/env-c");
    assert_str(settings.profile.key, "/env-k");
    assert_str(settings.profile.principal, "");
    env.key = NULL;
    assert_int_equal(load("", ""), CHY_E_ARG);
}

static void test_load__token_file_before_token(void **state)
{
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/token", home.path);
    put("token", "of-file\n", 0600);
    env.token = "of-environment";
    assert_int_equal(load("", ""), CHY_OK);
    assert_str(chy_bytes_str(chy_secret_bytes(settings.token)), "of-environment");
    env.token_file = path;
    assert_int_equal(load("", ""), CHY_OK);
    assert_str(chy_bytes_str(chy_secret_bytes(settings.token)), "of-file");
    put("token", "of-file\n", 0640);
    assert_int_equal(load("", ""), CHY_E_FORBIDDEN);
}

static void test_load__token_limit(void **state)
{
    (void)state;
    char text[CHY_LIMIT_NAME + 2];
    memset(text, 't', sizeof text);
    text[CHY_LIMIT_NAME] = '\0';
    env.token = text;
    assert_int_equal(load("", ""), CHY_OK);
    text[CHY_LIMIT_NAME] = 't';
    text[CHY_LIMIT_NAME + 1] = '\0';
    assert_int_equal(load("", ""), CHY_E_ARG);
}

static void test_load__wrong_files(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *part;
    } rows[] = {
        { "profile: a\nunknown: b\n", "line 2" },
        { "profiles:\n  - name: a\n    url: http://plain.example\n", "https://" },
        { "profiles:\n  - name: a\n    url: https://a/path\n", "https://" },
        { "profiles:\n  - name: a\n    key: /k\n", "together" },
        { "profiles:\n  - name: a\n  - name: a\n", "two profiles" },
        { "profiles:\n  - name: ../up\n", "letters" },
        { "profiles:\n  - url: https://a\n", "name" },
        { "profiles: &a\n  - name: a\n", "line 1" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        put_config(rows[i].text);
        assert_int_equal(load("", ""), CHY_E_MALFORMED);
        assert_non_null(strstr(err.text, "config.yaml"));
        if (strstr(err.text, rows[i].part) == NULL)
            fail_msg("no \"%s\" in \"%s\"", rows[i].part, err.text);
    }
}

static void test_load__wrong_options(void **state)
{
    (void)state;
    assert_int_equal(load("../up", ""), CHY_E_ARG);
    assert_int_equal(load("", "http://plain.example"), CHY_E_ARG);
    assert_int_equal(load("", "https://a/b"), CHY_E_ARG);
}

static void test_env__token_is_taken_out(void **state)
{
    (void)state;
    struct chy_client_env read;
    assert_int_equal(setenv("CHANCERY_TOKEN", "secret", 1), 0);
    assert_int_equal(setenv("CHANCERY_URL", "", 1), 0);
    chy_client_env_read(&read);
    assert_string_equal(read.token, "secret");
    assert_null(secure_getenv("CHANCERY_TOKEN"));
    assert_null(read.url);
}

static void test_dir__of_xdg(void **state)
{
    (void)state;
    struct chy_str dir;
    env.config_home = "/xdg";
    assert_int_equal(chy_client_dir(&env, &arena, &dir, NULL), CHY_OK);
    assert_str(dir, "/xdg/chancery");
    env.config_home = "relative"; /* to be ignored: XDG base directory specification */
    assert_int_equal(chy_client_dir(&env, &arena, &dir, NULL), CHY_OK);
    assert_int_equal(dir.n, strlen(home.path) + strlen("/.config/chancery"));
    env = (struct chy_client_env){ 0 };
    assert_int_equal(chy_client_dir(&env, &arena, &dir, NULL), CHY_E_NOT_FOUND);
}

static void test_save__round_trip(void **state)
{
    (void)state;
    put_config(two_profiles);
    struct chy_str dir;
    struct chy_profile p = { .name = CHY_STR("first"),
                             .url = CHY_STR("https://new.example"),
                             .pin = CHY_STR("a+/="),
                             .certificate = CHY_STR("/with \"quotes\" and # and: colon"),
                             .key = CHY_STR("/k\xc3\xa9y") };
    assert_int_equal(chy_client_dir(&env, &arena, &dir, NULL), CHY_OK);
    assert_int_equal(chy_client_config_save(dir, &p, &arena, NULL), CHY_OK);
    assert_int_equal(load("first", ""), CHY_OK);
    assert_str(settings.profile.url, "https://new.example");
    assert_str(settings.profile.pin, "a+/=");
    assert_str(settings.profile.certificate, "/with \"quotes\" and # and: colon");
    assert_str(settings.profile.key, "/k\xc3\xa9y");
    assert_str(settings.profile.ca, "");
    assert_int_equal(load("", ""), CHY_OK);
    assert_str(settings.profile.name, "second"); /* still the default */
    struct stat st;
    assert_int_equal(fstatat(home.fd, ".config/chancery/config.yaml", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_save__first_profile_is_the_default(void **state)
{
    (void)state;
    struct chy_str dir;
    struct chy_profile p = { .name = CHY_STR("work"), .url = CHY_STR("https://a.example") };
    env.config_home = chy_arena_printf(&arena, "%s/new", home.path).p;
    assert_int_equal(chy_client_dir(&env, &arena, &dir, NULL), CHY_OK);
    assert_int_equal(chy_client_config_save(dir, &p, &arena, NULL), CHY_OK);
    assert_int_equal(load("", ""), CHY_OK);
    assert_str(settings.profile.name, "work");
}

static void test_managed__only_what_enroll_made(void **state)
{
    (void)state;
    put_config(two_profiles);
    assert_int_equal(load("", ""), CHY_OK);
    assert_false(chy_settings_is_managed(&settings));
    struct chy_str pem = chy_arena_printf(&arena, "%.*s/second.pem", CHY_STR_ARG(settings.dir));
    settings.profile.certificate = pem;
    settings.profile.key = pem;
    assert_true(chy_settings_is_managed(&settings));
    settings.profile.key = CHY_STR("/elsewhere.pem");
    settings.profile.certificate = CHY_STR("/elsewhere.pem");
    assert_false(chy_settings_is_managed(&settings));
}

static void test_load__no_memory(void **state)
{
    (void)state;
    put_config(two_profiles);
    env.token = "token";
    size_t n = 0;
    enum chy_err r;
    do {
        chy_arena_done(&arena);
        chy_arena_init(&arena, CHY_LIMIT_ARENA);
        chy_mem_fail_after(n++);
        r = load("", "");
        chy_mem_fail_after(SIZE_MAX);
        assert_true(r == CHY_OK || r == CHY_E_NOMEM);
    } while (r != CHY_OK);
    assert_true(n > 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* --- the agent --- */

/* A socket that nobody listens on is one all the same: whether anybody does is found out later. */
static void put_socket(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s/%s", home.path, path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(close(fd), 0);
}

static void assert_agent(const char *in_home)
{
    char path[CHY_LIMIT_PATH] = "";
    if (in_home[0] != '\0')
        (void)snprintf(path, sizeof path, "%s/%s", home.path, in_home);
    assert_int_equal(load("", ""), CHY_OK);
    assert_str(settings.agent_socket, path);
    assert_false(settings.is_agent_named);
}

static void test_agent__usual_places(void **state)
{
    (void)state;
    char runtime[CHY_LIMIT_PATH];
    struct chy_str path;
    (void)snprintf(runtime, sizeof runtime, "%s/run", home.path);
    assert_int_equal(chy_dir_make(home.fd, "run", 0700, NULL), CHY_OK);
    assert_int_equal(chy_dir_make(home.fd, "run/chancery", 0700, NULL), CHY_OK);
    assert_agent("");
    put(".config/chancery/agent.sock", "a file is none", 0600);
    assert_agent("");
    assert_int_equal(unlinkat(home.fd, ".config/chancery/agent.sock", 0), 0);
    put_socket(".config/chancery/agent.sock");
    assert_agent(".config/chancery/agent.sock");
    env.runtime_dir = runtime;
    assert_agent(".config/chancery/agent.sock");
    put_socket("run/chancery/agent.sock");
    assert_agent("run/chancery/agent.sock");
    /* Where one would be made. */
    assert_int_equal(chy_agent_socket_default(&env, &arena, &path, &err), CHY_OK);
    assert_true(chy_str_equal(path, settings.agent_socket));
    env = (struct chy_client_env){ .home = NULL };
    assert_int_equal(chy_agent_socket_default(&env, &arena, &path, &err), CHY_E_NOT_FOUND);
}

/* Who says who to be does not mean the agent's login. */
static void test_agent__not_when_a_login_is_named(void **state)
{
    (void)state;
    put_socket(".config/chancery/agent.sock");
    put("token", "abc", 0600);
    char token[CHY_LIMIT_PATH];
    (void)snprintf(token, sizeof token, "%s/token", home.path);
    const struct chy_client_env envs[] = {
        { .home = home.path, .profile = "default" },
        { .home = home.path, .url = "https://x.example" },
        { .home = home.path, .token = "abc" },
        { .home = home.path, .token_file = token },
        { .home = home.path, .certificate = "/c", .key = "/k" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(envs); i++) {
        env = envs[i];
        assert_agent("");
    }
    env = (struct chy_client_env){ .home = home.path, .ca = "/ca", .reason = "r" };
    assert_agent(".config/chancery/agent.sock");
    assert_int_equal(load("default", ""), CHY_OK);
    assert_str(settings.agent_socket, "");
    assert_int_equal(load("", "https://x.example"), CHY_OK);
    assert_str(settings.agent_socket, "");
}

static void test_agent__named_by_the_environment(void **state)
{
    (void)state;
    put_socket(".config/chancery/agent.sock");
    env.agent_socket = "none";
    assert_agent("");
    env.agent_socket = "/somewhere";
    env.profile = "default";
    assert_int_equal(load("", ""), CHY_OK);
    assert_str(settings.agent_socket, "/somewhere");
    assert_true(settings.is_agent_named);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_load__without_a_file),
        T(test_load__without_a_home),
        T(test_load__profile_of_the_file),
        T(test_load__precedence_of_the_profile),
        T(test_load__precedence_of_the_url),
        T(test_load__credential_stays_with_its_server),
        T(test_load__environment_over_profile),
        T(test_load__token_file_before_token),
        T(test_load__token_limit),
        T(test_load__wrong_files),
        T(test_load__wrong_options),
        T(test_env__token_is_taken_out),
        T(test_dir__of_xdg),
        T(test_save__round_trip),
        T(test_save__first_profile_is_the_default),
        T(test_managed__only_what_enroll_made),
        T(test_agent__usual_places),
        T(test_agent__not_when_a_login_is_named),
        T(test_agent__named_by_the_environment),
        T(test_load__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
