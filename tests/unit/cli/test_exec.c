/* SPDX-License-Identifier: MIT */
/* What a tool gets of chancery exec: words, variables, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/exec/exec.h"
#include "cli/exec/machine.h"

static struct chy_arena arena;
static struct chy_exec_setup setup;
static struct chy_exec_plan plan;
static struct chy_error err;

static const char *const environment[] = {
    "PATH=/usr/bin",           "CHANCERY_TOKEN=secret",    "CHANCERY_TOKEN_FILE=/secret",
    "CHANCERY_CERT=/c",        "CHANCERY_KEY=/k",          "CHANCERY_PROFILE=p",
    "CHANCERY_URL=https://u",  "CHANCERY_CA=/ca",          "CHANCERY_REASON=of the environment",
    "JDK_JAVA_OPTIONS=-Xmx1g", "CHANCERY_AGENT_SOCK=none", NULL,
};

static int make_setup(void **state)
{
    (void)state;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    setup = (struct chy_exec_setup){
        .environ = environment,
        .dir = CHY_STR("/d"),
        .module = CHY_STR("/m.so"),
        .gpg = CHY_STR("/b/chancery-gpg"),
        .engine = CHY_STR("/e.so"),
        .openssl_cnf = CHY_STR("/o.cnf"),
        .openssl_section = CHY_STR("its_init"),
        .provider = CHY_STR("/p.so"),
        .socket = CHY_STR("/d/agent.sock"),
        .tag = CHY_STR("00ff"),
    };
    return 0;
}

static int drop_setup(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    return 0;
}

/* The words of a line, split at blanks. */
static void set_words(const char *line)
{
    struct chy_str *words = chy_arena_array(&arena, struct chy_str, 32);
    size_t n = 0;
    assert_non_null(words);
    while (*line != '\0') {
        size_t length = strcspn(line, " ");
        words[n++] = chy_arena_str(&arena, (struct chy_str){ line, length });
        line += length + (line[length] == ' ' ? 1 : 0);
    }
    setup.words = (struct chy_strs){ words, n };
}

static enum chy_err plan_of(const char *line)
{
    set_words(line);
    return chy_exec_plan_make(&setup, &arena, &plan, &err);
}

static const char *joined(void)
{
    static char text[4096];
    size_t n = 0;
    for (size_t i = 0; i < plan.argv.n; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s", i != 0 ? " " : "",
                              CHY_STR_ARG(plan.argv.p[i]));
    return text;
}

static const char *variable(const char *name)
{
    return chy_machine_env(plan.env, name);
}

static const char *file(const char *path)
{
    for (size_t i = 0; i < plan.files.n; i++) {
        if (chy_str_equal_c(plan.files.p[i].path, path))
            return plan.files.p[i].text.p;
    }
    return NULL;
}

#define P11   "-addprovider SunPKCS11 -providerArg /d/pkcs11.cfg "
#define STORE "-keystore NONE -storetype PKCS11 -protected "

static void test_plan__words(void **state)
{
    (void)state;
    static const struct {
        const char *typed;
        const char *run;
    } rows[] = {
        { "jarsigner app.jar k", "jarsigner " P11 STORE "app.jar k" },
        { "/usr/bin/jarsigner app.jar k", "/usr/bin/jarsigner " P11 STORE "app.jar k" },
        { "jarsigner -keyStore NONE -storepass x a k",
          "jarsigner " P11 "-storetype PKCS11 -keyStore NONE -storepass x a k" },
        { "jarsigner -providerClass c a k", "jarsigner " STORE "-providerClass c a k" },
        { "jarsigner -verify app.jar", "jarsigner -verify app.jar" },
        { "jarsigner -keystore my.p12 a k", "jarsigner -keystore my.p12 a k" },
        { "keytool -list",
          "keytool -list " P11 "-keystore NONE -storetype PKCS11 -storepass none" },
        { "keytool -printcert -file c", "keytool -printcert -file c" },
        { "apksigner sign --ks-key-alias k a.apk",
          "apksigner sign --ks NONE --ks-type PKCS11 --ks-pass pass:none --ks-key-alias k a.apk" },
        { "apksigner verify a.apk", "apksigner verify a.apk" },
        { "apksigner sign --ks=my.jks a.apk", "apksigner sign --ks=my.jks a.apk" },
        { "java -Xmx1g -jar /x/jsign-6.0.jar --alias k a.exe",
          "java -Xmx1g -jar /x/jsign-6.0.jar --storetype PKCS11 --keystore /d/pkcs11.cfg "
          "--storepass none --alias k a.exe" },
        { "java -jar other.jar", "java -jar other.jar" },
        { "jsign sign --alias k a.exe", "jsign sign --storetype PKCS11 --keystore /d/pkcs11.cfg "
                                        "--storepass none --alias k a.exe" },
        { "java -jar jsign.jar a.exe -a k -t http://stamps",
          "java -jar jsign.jar a.exe --storetype PKCS11 --keystore /d/pkcs11.cfg --storepass none "
          "-a k -t http://stamps" },
        { "java -jar jsign.jar extract a.exe", "java -jar jsign.jar extract a.exe" },
        { "jsign timestamp -t http://stamps a.exe", "jsign timestamp -t http://stamps a.exe" },
        { "jsign --keystore my.jks a.exe", "jsign --keystore my.jks a.exe" },
        { "jsign --keyfile k.pem a.exe", "jsign --keyfile k.pem a.exe" },
        { "jsign --storetype AWS a.exe", "jsign --storetype AWS a.exe" },
        { "jsign --storetype PKCS11 a.exe",
          "jsign --keystore /d/pkcs11.cfg --storepass none --storetype PKCS11 a.exe" },
        { "openssl cms -sign -inkey pkcs11:object=k",
          "openssl cms -engine pkcs11 -keyform engine -sign -inkey pkcs11:object=k" },
        { "openssl x509 -req -CAkey pkcs11:object=k",
          "openssl x509 -engine pkcs11 -CAkeyform engine -req -CAkey pkcs11:object=k" },
        { "openssl dgst -engine pkcs11 -keyform engine -sign pkcs11:object=k f",
          "openssl dgst -engine pkcs11 -keyform engine -sign pkcs11:object=k f" },
        { "openssl dgst -sign key.pem f", "openssl dgst -sign key.pem f" },
        { "openssl dgst -sign", "openssl dgst -sign" },
        { "openssl version", "openssl version" },
        { "osslsigncode sign -in a", "osslsigncode sign -pkcs11module /m.so "
                                     "-in a" },
        { "osslsigncode -in a", "osslsigncode -pkcs11module /m.so -in a" },
        { "osslsigncode verify -in a", "osslsigncode verify -in a" },
        { "osslsigncode sign -pkcs12 f -in a", "osslsigncode sign -pkcs12 f -in a" },
        { "osslsigncode sign -in verify", "osslsigncode sign -pkcs11module "
                                          "/m.so -in verify" },
        { "sbsign --key pkcs11:object=k --cert c a", "sbsign --engine pkcs11 --key pkcs11:object=k "
                                                     "--cert c a" },
        { "sbsign --key k.pem --cert c a", "sbsign --key k.pem --cert c a" },
        { "pkcs11-tool --list-objects", "pkcs11-tool --module /m.so --list-objects" },
        { "pkcs11-tool --module=/x -O", "pkcs11-tool --module=/x -O" },
        { "p11tool --list-all", "p11tool --provider /m.so --list-all" },
        { "ssh-keygen -s ca.pub -I x k.pub", "ssh-keygen -D /m.so -s ca.pub -I x k.pub" },
        { "ssh-keygen -t ed25519 -S x", "ssh-keygen -t ed25519 -S x" },
        { "ssh-keygen -U -s ca.pub -I x k.pub", "ssh-keygen -U -s ca.pub -I x k.pub" },
        { "ssh-keygen -Us ca.pub -I x k.pub", "ssh-keygen -Us ca.pub -I x k.pub" },
        { "make all", "make all" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        assert_int_equal(plan_of(rows[i].typed), CHY_OK);
        assert_string_equal(joined(), rows[i].run);
    }
}

/* Of whom a tool asks for time stamps; and whether it would, and there is nobody. */
static void test_plan__time_stamps(void **state)
{
    (void)state;
    static const struct {
        const char *typed;
        const char *put_in; /* with an authority */
        bool lacks_stamp;   /* without one */
    } rows[] = {
        { "jarsigner a.jar k", " -tsa http://t ", true },
        { "jarsigner -TSA http://u a.jar k", NULL, false },
        { "jarsigner -tsacert c a.jar k", NULL, false },
        { "jarsigner -verify a.jar", NULL, false },
        { "keytool -list", NULL, false },
        { "jsign -a k a.exe", " --tsaurl http://t --tsmode RFC3161 ", true },
        { "jsign --tsmode=AUTHENTICODE a.exe", " --tsaurl http://t --tsmode=AUTHENTICODE ", true },
        { "jsign -t http://u a.exe", NULL, false },
        { "jsign extract a.exe", NULL, false },
        { "java -jar jsign.jar a.exe", " --tsaurl http://t --tsmode RFC3161", true },
        { "java -jar other.jar", NULL, false },
        { "osslsigncode sign -in a", " -ts http://t ", true },
        { "osslsigncode sign -t http://u -in a", NULL, false },
        { "osslsigncode verify -in a", NULL, false },
        { "apksigner sign a.apk", NULL, false },
        { "openssl cms -sign -inkey pkcs11:object=k", NULL, false },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        setup.tsa = CHY_STR("http://t");
        assert_int_equal(plan_of(rows[i].typed), CHY_OK);
        assert_false(plan.lacks_stamp);
        assert_true(rows[i].put_in == NULL ? strstr(joined(), "http://t") == NULL
                                           : strstr(joined(), rows[i].put_in) != NULL);
        setup.tsa = (struct chy_str){ 0 };
        assert_int_equal(plan_of(rows[i].typed), CHY_OK);
        assert_int_equal(plan.lacks_stamp, rows[i].lacks_stamp);
        assert_null(strstr(joined(), "http://t"));
        assert_true(strstr(joined(), "RFC3161") == NULL);
    }
}

static void test_plan__no_credential_is_left(void **state)
{
    (void)state;
    assert_int_equal(plan_of("any thing"), CHY_OK);
    for (size_t i = 0; plan.env[i] != NULL; i++)
        assert_null(strstr(plan.env[i], "secret"));
    static const char *const gone[] = { "CHANCERY_CERT", "CHANCERY_KEY", "CHANCERY_PROFILE",
                                        "CHANCERY_URL", "CHANCERY_CA" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(gone); i++)
        assert_null(variable(gone[i]));
    assert_int_equal(plan.unset.n, 7);
    assert_string_equal(variable("PATH"), "/usr/bin");
}

static void test_plan__our_variables(void **state)
{
    (void)state;
    assert_int_equal(plan_of("any thing"), CHY_OK);
    assert_string_equal(variable("CHANCERY_AGENT_SOCK"), "/d/agent.sock");
    assert_string_equal(variable("CHANCERY_EXEC_TAG"), "00ff");
    assert_string_equal(variable("CHANCERY_REASON"), "of the environment");
    assert_string_equal(variable("PKCS11_MODULE_PATH"), "/m.so");
    assert_string_equal(variable("CHANCERY_SUNPKCS11"), "/d/pkcs11.cfg");
    assert_null(variable("CHANCERY_KEYS"));
    struct chy_str keys[] = { CHY_STR("a"), CHY_STR("b*") };
    setup.keys = (struct chy_strs){ keys, 2 };
    setup.reason = CHY_STR("release 1");
    setup.receipts = CHY_STR("/r");
    assert_int_equal(plan_of("any thing"), CHY_OK);
    assert_string_equal(variable("CHANCERY_KEYS"), "a,b*");
    assert_string_equal(variable("CHANCERY_REASON"), "release 1");
    assert_string_equal(variable("CHANCERY_RECEIPTS"), "/r");
    /* None stands twice. */
    for (size_t i = 0; plan.env[i] != NULL; i++) {
        size_t n = strcspn(plan.env[i], "=") + 1;
        for (size_t k = 0; k < i; k++)
            assert_false(strncmp(plan.env[i], plan.env[k], n) == 0);
    }
}

/* A script may log in by its own agent. */
static void test_plan__ssh_has_a_socket_of_ours(void **state)
{
    (void)state;
    static const char *const tools[] = { "ssh-keygen -Y sign", "git commit", "ssh h",
                                         "ssh-add -L" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(tools); i++) {
        assert_int_equal(plan_of(tools[i]), CHY_OK);
        assert_true(chy_str_equal_c(plan.ssh_socket, "/d/ssh.sock"));
        assert_string_equal(variable("SSH_AUTH_SOCK"), "/d/ssh.sock");
    }
    assert_int_equal(plan_of("any thing"), CHY_OK);
    assert_true(chy_str_equal_c(plan.ssh_socket, "/d/ssh.sock"));
    assert_null(variable("SSH_AUTH_SOCK"));
    assert_string_equal(variable("CHANCERY_SSH_AUTH_SOCK"), "/d/ssh.sock");
    assert_int_equal(plan_of("jarsigner a.jar"), CHY_OK);
    assert_int_equal(plan.ssh_socket.n, 0);
}

static void test_plan__files(void **state)
{
    (void)state;
    assert_int_equal(plan_of("jarsigner a k"), CHY_OK);
    assert_int_equal(plan.files.n, 1);
    assert_non_null(strstr(file("/d/pkcs11.cfg"), "\nlibrary = /m.so\n"));
    assert_int_equal(plan_of("apksigner sign a"), CHY_OK);
    assert_string_equal(file("/d/java.security"), "security.provider.13=SunPKCS11 /d/pkcs11.cfg\n");
    assert_string_equal(variable("JDK_JAVA_OPTIONS"),
                        "-Xmx1g -Djava.security.properties=/d/java.security");
    assert_int_equal(plan_of("openssl dgst -sign pkcs11:object=k"), CHY_OK);
    assert_string_equal(variable("OPENSSL_CONF"), "/d/openssl.cnf");
    const char *cnf = file("/d/openssl.cnf");
    assert_int_equal(strncmp(cnf, ".include /o.cnf\n", 16), 0);
    assert_non_null(strstr(cnf, "\nopenssl_conf = its_init\n[its_init]\nengines = "));
    assert_non_null(strstr(cnf, "\ndynamic_path = /e.so\nMODULE_PATH = /m.so\n"));
    assert_null(strstr(cnf, "provider"));
    assert_int_equal(plan_of("openssl version"), CHY_OK);
    cnf = file("/d/openssl.cnf");
    assert_null(strstr(cnf, "engine"));
    assert_non_null(strstr(cnf, "\nproviders = chancery_providers\n"));
    assert_non_null(strstr(cnf, "\n[chancery_providers]\ndefault = chancery_default\nchancery = "));
    assert_non_null(strstr(cnf, "\nmodule = /p.so\nactivate = 1\n"));
}

/* Those that know engines alone are not made to load more. */
static void test_plan__engines_and_providers(void **state)
{
    (void)state;
    assert_int_equal(plan_of("sbsign a"), CHY_OK);
    assert_null(strstr(file("/d/openssl.cnf"), "providers"));
    assert_int_equal(plan_of("openssl dgst -engine pkcs11 -sign k"), CHY_OK);
    assert_null(strstr(file("/d/openssl.cnf"), "providers"));
    assert_int_equal(plan_of("make all"), CHY_OK);
    assert_null(strstr(file("/d/openssl.cnf"), "providers"));
    setup.openssl_providers = CHY_STR("theirs");
    setup.engine = (struct chy_str){ 0 };
    assert_int_equal(plan_of("openssl dgst -sign chancery:k"), CHY_OK);
    assert_int_equal(plan.argv.n, 4);
    const char *cnf = file("/d/openssl.cnf");
    assert_null(strstr(cnf, "engines"));
    assert_non_null(strstr(cnf, "\nproviders = theirs\n[theirs]\ndefault = chancery_default\n"));
    assert_int_equal(plan_of("make all"), CHY_OK);
    assert_non_null(strstr(file("/d/openssl.cnf"), "module = /p.so"));
    assert_int_equal(plan_of("rauc bundle"), CHY_OK);
    assert_int_equal(plan.files.n, 0);
}

static void test_plan__nothing_configured_before(void **state)
{
    (void)state;
    static const char *const none[] = { NULL };
    setup.environ = none;
    setup.openssl_cnf = setup.openssl_section = (struct chy_str){ 0 };
    assert_int_equal(plan_of("java Main"), CHY_OK);
    assert_string_equal(variable("JDK_JAVA_OPTIONS"),
                        "-Djava.security.properties=/d/java.security");
    assert_int_equal(plan_of("openssl version"), CHY_OK);
    assert_int_equal(strncmp(file("/d/openssl.cnf"), "[default]\n", 10), 0);
}

static void test_plan__no_engine(void **state)
{
    (void)state;
    setup.engine = (struct chy_str){ 0 };
    setup.provider = (struct chy_str){ 0 };
    assert_int_equal(plan_of("osslsigncode sign -in a"), CHY_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "libengine-pkcs11-openssl"));
    assert_int_equal(plan_of("openssl cms -inkey pkcs11:object=k"), CHY_E_NOT_FOUND);
    /* What does not need it goes on. */
    assert_int_equal(plan_of("openssl version"), CHY_OK);
    assert_null(variable("OPENSSL_CONF"));
    assert_int_equal(plan.files.n, 0);
    assert_int_equal(plan_of("make all"), CHY_OK);
    assert_int_equal(plan_of("osslsigncode verify -in a"), CHY_OK);
}

static void test_plan__gpg_is_ours(void **state)
{
    (void)state;
    assert_int_equal(plan_of("rpmsign --addsign a.rpm"), CHY_OK);
    assert_int_equal(plan.argv.n, 5);
    assert_true(chy_str_equal_c(plan.argv.p[1], "--define"));
    assert_true(chy_str_equal_c(plan.argv.p[2], "__gpg /b/chancery-gpg"));
    assert_int_equal(plan_of("rpmsign --delsign a.rpm"), CHY_OK);
    assert_int_equal(plan.argv.n, 3);
    assert_int_equal(plan_of("debsigs --sign=origin a.deb"), CHY_OK);
    assert_string_equal(variable("PATH"), "/d/bin:/usr/bin");
    assert_int_equal(plan.files.n, 1);
    assert_true(plan.files.p[0].is_link);
    assert_string_equal(file("/d/bin/gpg"), "/b/chancery-gpg");
}

static void test_plan__gpg_signs_by_ours_alone(void **state)
{
    (void)state;
    static const struct {
        const char *typed;
        const char *run;
    } rows[] = {
        { "gpg -u k -b f", "/b/chancery-gpg -u k -b f" },
        { "/usr/bin/gpg --clear-sign f", "/b/chancery-gpg --clear-sign f" },
        { "gpg --verify f.sig f", "gpg --verify f.sig f" },
        { "gpg --import k.asc", "gpg --import k.asc" },
        { "gpg -e -r x f", "gpg -e -r x f" },
        { "chancery-gpg -b f", "chancery-gpg -b f" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        assert_int_equal(plan_of(rows[i].typed), CHY_OK);
        assert_string_equal(joined(), rows[i].run);
    }
}

static void test_plan__no_gpg_of_ours(void **state)
{
    (void)state;
    static const char *const lines[] = { "rpmsign --addsign a.rpm", "debsigs --sign=origin a.deb",
                                         "gpg -b f" };
    setup.gpg = (struct chy_str){ 0 };
    for (size_t i = 0; i < CHY_ARRAY_LEN(lines); i++) {
        assert_int_equal(plan_of(lines[i]), CHY_E_NOT_FOUND);
        assert_non_null(strstr(err.text, "chancery-gpg"));
    }
    assert_int_equal(plan_of("rpmsign --delsign a.rpm"), CHY_OK);
}

/* Every row of the table can be planned, and says what it is for. */
static void test_table__every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < chy_exec_tools_n; i++) {
        char line[128];
        const struct chy_exec_tool *t = &chy_exec_tools[i];
        (void)snprintf(line, sizeof line, "%s%s%s%s", t->name, t->where != NULL ? " -jar " : " x",
                       t->where != NULL ? t->where : "", t->where != NULL ? ".jar" : "");
        assert_int_equal(plan_of(line), CHY_OK);
        assert_ptr_equal(plan.tool, t);
        assert_int_equal(plan.hint.n, t->hint != NULL ? strlen(t->hint) : 0);
    }
}

static void test_plan__out_of_memory(void **state)
{
    (void)state;
    set_words("openssl cms -inkey pkcs11:object=k");
    for (size_t n = 0;; n++) {
        struct chy_arena small;
        chy_arena_init(&small, CHY_LIMIT_ARENA);
        chy_mem_fail_after(n);
        enum chy_err r = chy_exec_plan_make(&setup, &small, &plan, &err);
        bool was_refused = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        chy_arena_done(&small);
        if (!was_refused)
            break;
        assert_int_equal(r, CHY_E_NOMEM);
    }
}

static void test_print__a_shell_reads_it_back(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n = 0;
    setup.reason = CHY_STR("it's \"1\"");
    assert_int_equal(plan_of("any thing"), CHY_OK);
    FILE *out = open_memstream(&text, &n);
    chy_exec_plan_print(out, &plan);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "\nexport CHANCERY_REASON='it'\\''s \"1\"'\n"));
    assert_non_null(strstr(text, "\nunset CHANCERY_TOKEN\n"));
    assert_non_null(strstr(text, "\nany thing\n"));
    free(text);
}

static void test_section__of_a_configuration(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *section;
    } rows[] = {
        { "openssl_conf = openssl_init\n", "openssl_init" },
        { "# openssl_conf = no\nHOME=.\n openssl_conf=yes # it is\n[x]\nopenssl_conf = z", "yes" },
        { "[ x ]\nopenssl_conf = z", "" },
        { "[default]\nopenssl_conf = z", "z" },
        { "openssl_conf = a\nopenssl_conf = b", "b" },
        { "openssl_conf", "" },
        { "openssl_conf =", "" },
        { "openssl_conf\x01 = x", "" },
        { "", "" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_str s =
            chy_machine_openssl_value(chy_str_of(rows[i].text), CHY_STR("default"), "openssl_conf");
        assert_int_equal(s.n, strlen(rows[i].section));
        assert_true(chy_str_equal_c(s, rows[i].section));
    }
}

static void test_section__within_another(void **state)
{
    (void)state;
    const char *text = "providers = no\n[a]\nproviders = b\n[ c ]\nproviders = d\n[a]\nother = e\n";
    static const struct {
        const char *section;
        const char *value;
    } rows[] = { { "a", "b" }, { "c", "d" }, { "default", "no" }, { "none", "" } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        assert_true(chy_str_equal_c(
            chy_machine_openssl_value(chy_str_of(text), chy_str_of(rows[i].section), "providers"),
            rows[i].value));
}

static struct chy_exec_report report_of(const struct chy_door_event *events, size_t n)
{
    struct chy_exec_report r = { .tool = CHY_STR("tool") };
    r.signatures.p = events;
    r.signatures.n = n;
    return r;
}

static char *printed(const struct chy_exec_report *r)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    chy_exec_report_print(out, r);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_report__signed_and_refused(void **state)
{
    (void)state;
    struct chy_log_index leaf = { 42 };
    struct chy_str rules[] = { CHY_STR("frozen") };
    struct chy_door_event events[] = {
        { .key = CHY_STR("k"),
          .algorithm = CHY_ALG_ECDSA_SHA256,
          .is_signed = true,
          .outcome = &leaf,
          .receipt_file = CHY_STR("/r/42.receipt") },
        { .key = CHY_STR("f"),
          .algorithm = CHY_ALG_RSA_PKCS1_SHA256,
          .problem = CHY_STR("denied-by-policy"),
          .detail = CHY_STR("it is frozen"),
          .rules = { rules, 1 },
          .request_id = CHY_STR("abcd"),
          .intent = &leaf },
    };
    struct chy_exec_report r = report_of(events, 2);
    char *text = printed(&r);
    assert_string_equal(text, "chancery: signed: key k, ecdsa-sha256, log entry 42, receipt in "
                              "/r/42.receipt\n"
                              "chancery: REFUSED: key f, rsa-pkcs1-sha256, log entry 42\n"
                              "chancery:   denied-by-policy: it is frozen\n"
                              "chancery:   decided by rule frozen\n"
                              "chancery:   request abcd\n");
    free(text);
}

static void test_report__many_do_not_hide_the_refusal(void **state)
{
    (void)state;
    struct chy_door_event events[30];
    memset(events, 0, sizeof events);
    for (size_t i = 0; i < 29; i++)
        events[i] = (struct chy_door_event){ .key = CHY_STR("k"),
                                             .algorithm = CHY_ALG_ECDSA_SHA256,
                                             .is_signed = true };
    events[29] = (struct chy_door_event){ .key = CHY_STR("k"),
                                          .algorithm = CHY_ALG_ECDSA_SHA256,
                                          .problem = CHY_STR("expired") };
    struct chy_exec_report r = report_of(events, 30);
    r.more = 5;
    char *text = printed(&r);
    assert_non_null(strstr(text, "REFUSED"));
    assert_non_null(strstr(text, "and 14 more\n"));
    free(text);
}

static void test_report__nothing_and_why(void **state)
{
    (void)state;
    struct chy_exec_report r = report_of(NULL, 0);
    r.trouble = CHY_STR("the certificate has ended");
    char *text = printed(&r);
    assert_string_equal(text, "chancery: tool asked for no signature\n"
                              "chancery: the certificate has ended\n");
    free(text);
    r.exit_code = 1;
    r.trouble = (struct chy_str){ 0 };
    text = printed(&r);
    assert_string_equal(text, "chancery: tool asked for no signature\n"
                              "chancery: the keys that it could find: chancery keys list "
                              "--usable; what may be missing here: chancery doctor\n");
    free(text);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_setup, drop_setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_plan__words),
        T(test_plan__time_stamps),
        T(test_plan__no_credential_is_left),
        T(test_plan__our_variables),
        T(test_plan__ssh_has_a_socket_of_ours),
        T(test_plan__files),
        T(test_plan__nothing_configured_before),
        T(test_plan__engines_and_providers),
        T(test_plan__no_engine),
        T(test_plan__gpg_is_ours),
        T(test_plan__gpg_signs_by_ours_alone),
        T(test_plan__no_gpg_of_ours),
        T(test_table__every_row),
        T(test_plan__out_of_memory),
        T(test_print__a_shell_reads_it_back),
        T(test_section__of_a_configuration),
        T(test_section__within_another),
        T(test_report__signed_and_refused),
        T(test_report__many_do_not_hide_the_refusal),
        T(test_report__nothing_and_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
