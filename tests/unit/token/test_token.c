/* SPDX-License-Identifier: MIT */
/* The process itself, in its sandbox, against a real SoftHSM and the faulty module. */
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../os/kernel_fixture.h"
#include "base/limits.h"
#include "base/mem.h"
#include "os/clock.h"
#include "os/sandbox.h"
#include "token_process.h"

#define ITEMS 40

static struct fixture fx;
static struct chy_arena kept;
static struct chy_token_key_reply rsa, p256, ed25519;

static void keep(enum chy_key_type type, const char *id, struct chy_token_key_reply *to)
{
    struct chy_token_key_reply key = fixture_key(&fx, type, id, id);
    assert_code(chy_schema_copy(&chy_token_key_reply_schema, &key, &kept, to, NULL), CHY_OK);
}

static int make(void **state)
{
    (void)state;
    fixture_make(&fx);
    chy_arena_init(&kept, CHY_LIMIT_ARENA);
    fixture_open(&fx, fx.softhsm, (struct chy_keys_options){ .copies = false });
    keep(CHY_KEY_RSA_2048, "rsa", &rsa);
    keep(CHY_KEY_P256, "p256", &p256);
    keep(CHY_KEY_ED25519, "ed25519", &ed25519);
    fixture_close(&fx);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    chy_arena_done(&kept);
    fixture_remove(&fx);
    return 0;
}

static int mend(void **state)
{
    (void)state;
    fixture_fault(&fx, NULL);
    return 0;
}

static void assert_exit(struct token_process *p, int code)
{
    struct chy_process_end end = token_end(p);
    assert_false(end.was_signal);
    assert_int_equal(end.value, code);
}

static void assert_result(const struct chy_token_sign_result *result, enum chy_err code)
{
    if (result->code != (uint32_t) - (int)code)
        fail_msg("%u: %.*s", result->code, CHY_STR_ARG(result->text));
}

static struct chy_token_sign_item one(const struct chy_token_key_reply *key)
{
    return fixture_item(key, chy_key_type_default_alg(key->type), 5);
}

static void test_token__signs_batches_and_drains(void **state)
{
    (void)state;
    struct token_process p;
    struct chy_token_info info;
    struct chy_token_config config = token_config(&fx, fx.softhsm);
    config.module_sha256 = chy_str_of(fx.made.module_sha256);
    struct chy_str ready = token_start(&p, &fx, &config, &info);
    assert_true(chy_str_starts(ready, "software token " FIXTURE_LABEL));
    assert_true(chy_str_equal_c(info.name, "soft"));
    assert_true(chy_str_equal_c(info.label, FIXTURE_LABEL));
    assert_true(chy_str_equal_c(info.serial, fx.made.serial));
    assert_true(info.is_software && info.is_ready);
    assert_int_equal(info.mechanisms.n, CHY_ALG_LAST);

    struct chy_token_sign_item items[ITEMS];
    for (size_t i = 0; i < ITEMS; i++)
        items[i] = one(i % 3 == 0 ? &rsa : i % 3 == 1 ? &p256 : &ed25519);
    items[4].input.n = 20; /* of the wrong length: fails alone */
    items[7].key.object_id = chy_str_bytes(CHY_STR("nobody"));
    for (int round = 0; round < 2; round++) {
        struct chy_token_sign_reply reply = token_sign(&p, items, ITEMS);
        for (size_t i = 0; i < ITEMS; i++) {
            enum chy_err wanted = i == 4 ? CHY_E_ARG : i == 7 ? CHY_E_NOT_FOUND : CHY_OK;
            assert_result(&reply.results.p[i], wanted);
            if (wanted == CHY_OK)
                fixture_verify(i % 3 == 0   ? &rsa
                               : i % 3 == 1 ? &p256
                                            : &ed25519,
                               &items[i], reply.results.p[i].signature);
            else
                assert_int_equal(reply.results.p[i].signature.n, 0);
        }
    }
    token_drain(&p);
    assert_exit(&p, CHY_TOKEN_EXIT_DRAINED);
}

static void test_token__makes_finds_and_destroys_keys(void **state)
{
    (void)state;
    struct token_process p;
    struct chy_token_key_reply made;
    struct chy_token_key_reply found;
    struct chy_token_drop_reply dropped;
    struct chy_token_config config = token_config(&fx, fx.softhsm);
    token_start(&p, &fx, &config, NULL);
    const struct chy_token_generate request = fixture_request(CHY_KEY_P384, "new key", "new");
    token_ask(&p, CHY_MSG_TOKEN_GENERATE, &chy_token_generate_schema, &request);
    assert_true(token_answer(&p, CHY_MSG_TOKEN_KEY_REPLY, &chy_token_key_reply_schema, &made));
    assert_int_equal(made.code, 0);
    assert_int_equal(made.type, CHY_KEY_P384);
    token_ask(&p, CHY_MSG_TOKEN_GENERATE, &chy_token_generate_schema, &request);
    assert_true(token_answer(&p, CHY_MSG_TOKEN_KEY_REPLY, &chy_token_key_reply_schema, &found));
    assert_int_equal(found.code, -CHY_E_EXISTS);
    assert_true(found.text.n > 0 && found.public_key.n == 0);

    const struct chy_token_find find = { CHY_STR("new key"), { NULL, 0 } };
    token_ask(&p, CHY_MSG_TOKEN_FIND, &chy_token_find_schema, &find);
    assert_true(token_answer(&p, CHY_MSG_TOKEN_KEY_REPLY, &chy_token_key_reply_schema, &found));
    assert_int_equal(found.code, 0);
    assert_true(chy_bytes_equal(found.public_key, made.public_key));

    struct chy_token_sign_item item = one(&made);
    struct chy_token_sign_reply reply = token_sign(&p, &item, 1);
    fixture_verify(&made, &item, reply.results.p[0].signature);
    const struct chy_token_drop drop = { .key = item.key, .destroy = true };
    token_ask(&p, CHY_MSG_TOKEN_DROP, &chy_token_drop_schema, &drop);
    assert_true(token_answer(&p, CHY_MSG_TOKEN_DROP_REPLY, &chy_token_drop_reply_schema, &dropped));
    assert_int_equal(dropped.code, 0);
    reply = token_sign(&p, &item, 1);
    assert_result(&reply.results.p[0], CHY_E_NOT_FOUND);
    token_ask(&p, CHY_MSG_TOKEN_DROP, &chy_token_drop_schema, &drop);
    assert_true(token_answer(&p, CHY_MSG_TOKEN_DROP_REPLY, &chy_token_drop_reply_schema, &dropped));
    assert_int_equal(dropped.code, -CHY_E_NOT_FOUND);
    token_drain(&p);
    assert_exit(&p, CHY_TOKEN_EXIT_DRAINED);
}

/* What the signer does to destroy a key: every process drops it, then one destroys it. */
static void test_token__two_processes_share_a_token(void **state)
{
    (void)state;
    struct token_process p[2];
    struct chy_token_key_reply made;
    struct chy_token_drop_reply dropped;
    struct chy_token_config config = token_config(&fx, fx.softhsm);
    token_start(&p[0], &fx, &config, NULL);
    token_start(&p[1], &fx, &config, NULL);
    const struct chy_token_generate request = fixture_request(CHY_KEY_P256, "shared", "shared");
    token_ask(&p[0], CHY_MSG_TOKEN_GENERATE, &chy_token_generate_schema, &request);
    assert_true(token_answer(&p[0], CHY_MSG_TOKEN_KEY_REPLY, &chy_token_key_reply_schema, &made));
    struct chy_token_sign_item item = one(&made);
    item.key.object_id = request.object_id; /* `made` ends with the first process */
    for (int i = 0; i < 2; i++) {
        struct chy_token_sign_reply reply = token_sign(&p[i], &item, 1);
        assert_result(&reply.results.p[0], CHY_OK);
        fixture_verify(&made, &item, reply.results.p[0].signature);
    }
    struct chy_token_drop drop = { .key = item.key };
    for (int i = 0; i < 3; i++) {
        struct token_process *q = &p[i % 2];
        drop.destroy = i == 2;
        token_ask(q, CHY_MSG_TOKEN_DROP, &chy_token_drop_schema, &drop);
        assert_true(
            token_answer(q, CHY_MSG_TOKEN_DROP_REPLY, &chy_token_drop_reply_schema, &dropped));
        assert_int_equal(dropped.code, 0);
    }
    for (int i = 0; i < 2; i++) {
        struct chy_token_sign_reply reply = token_sign(&p[i], &item, 1);
        assert_result(&reply.results.p[0], CHY_E_NOT_FOUND);
        token_drain(&p[i]);
        assert_exit(&p[i], CHY_TOKEN_EXIT_DRAINED);
    }
}

static void test_token__ends_for_good_when_it_is_set_up_wrongly(void **state)
{
    (void)state;
    const struct chy_str words[] = { CHY_STR("network"), CHY_STR("everything") };
    struct chy_token_config right = token_config(&fx, fx.softhsm);
    struct chy_token_config bad[4] = { right, right, right, right };
    bad[0].module_sha256 =
        CHY_STR("0000000000000000000000000000000000000000000000000000000000000000");
    bad[1].module = CHY_STR("libsofthsm2.so");
    bad[2].profile = (struct chy_strs){ words, 2 };
    bad[3].slot_label = (struct chy_str){ NULL, 0 };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        struct token_process p;
        token_begin(&p, &bad[i]);
        token_send_pin(&p, fixture_path(&fx, "pin"));
        assert_exit(&p, CHY_TOKEN_EXIT_CONFIG);
    }
    struct token_process p;
    token_begin(&p, &right);
    token_send_pin(&p, fixture_path(&fx, "so-pin")); /* not the user's */
    assert_exit(&p, CHY_TOKEN_EXIT_CONFIG);
    right.slot_label = CHY_STR("not here today"); /* may come: a network HSM */
    token_begin(&p, &right);
    token_send_pin(&p, fixture_path(&fx, "pin"));
    assert_exit(&p, CHY_TOKEN_EXIT_TROUBLE);
}

static void test_token__answers_and_ends_when_the_device_fails(void **state)
{
    (void)state;
    struct token_process p;
    struct chy_token_sign_item items[5];
    for (size_t i = 0; i < 5; i++)
        items[i] = one(&p256);
    fixture_fault(&fx, "device-error 3");
    struct chy_token_config config = token_config(&fx, fixture_faulty());
    token_start(&p, &fx, &config, NULL);
    struct chy_token_sign_reply reply = token_sign(&p, items, 5);
    for (size_t i = 0; i < 3; i++) {
        assert_result(&reply.results.p[i], CHY_OK);
        fixture_verify(&p256, &items[i], reply.results.p[i].signature);
    }
    assert_result(&reply.results.p[3], CHY_E_TOKEN);
    assert_true(
        chy_str_equal_c(reply.results.p[3].text, "C_Sign answered CKR_DEVICE_ERROR (0x30)"));
    assert_result(&reply.results.p[4], CHY_E_TOKEN);
    assert_exit(&p, CHY_TOKEN_EXIT_TROUBLE);
}

static void test_token__tells_of_a_quarantine(void **state)
{
    (void)state;
    struct token_process p;
    struct chy_token_config config = token_config(&fx, fixture_faulty());
    config.verify_signatures = true;
    token_start(&p, &fx, &config, NULL);
    struct chy_token_sign_item item = one(&p256);
    struct chy_token_sign_item other = one(&rsa);
    assert_result(&token_sign(&p, &item, 1).results.p[0], CHY_OK);
    fixture_fault(&fx, "wrong-signature");
    struct chy_token_sign_reply reply = token_sign(&p, &item, 1);
    assert_result(&reply.results.p[0], CHY_E_INTEGRITY);
    assert_int_equal(reply.results.p[0].signature.n, 0);
    fixture_fault(&fx, NULL);
    assert_result(&token_sign(&p, &item, 1).results.p[0], CHY_E_INTEGRITY);
    assert_result(&token_sign(&p, &other, 1).results.p[0], CHY_OK);
    token_drain(&p);
    assert_exit(&p, CHY_TOKEN_EXIT_DRAINED);
}

static void assert_killed_by(const char *fault, int signal_number)
{
    struct token_process p;
    struct chy_token_sign_reply reply;
    struct chy_token_sign_item item = one(&p256);
    const struct chy_token_sign request = { .items = { &item, 1 } };
    struct chy_token_config config = token_config(&fx, fixture_faulty());
    token_start(&p, &fx, &config, NULL);
    fixture_fault(&fx, fault);
    token_ask(&p, CHY_MSG_TOKEN_SIGN, &chy_token_sign_schema, &request);
    assert_false(token_answer(&p, CHY_MSG_TOKEN_SIGN_REPLY, &chy_token_sign_reply_schema, &reply));
    struct chy_process_end end = token_end(&p);
    assert_true(end.was_signal);
    assert_int_equal(end.value, signal_number);
    fixture_fault(&fx, NULL);
}

static void test_token__dies_of_a_module_that_crashes(void **state)
{
    (void)state;
    assert_killed_by("crash", SIGABRT);
    struct token_process p;
    fixture_fault(&fx, "crash-at-load");
    struct chy_token_config config = token_config(&fx, fixture_faulty());
    token_begin(&p, &config);
    token_send_pin(&p, fixture_path(&fx, "pin"));
    struct chy_process_end end = token_end(&p);
    assert_true(end.was_signal);
    assert_int_equal(end.value, SIGABRT);
}

static void test_token__keeps_the_module_in_its_sandbox(void **state)
{
    (void)state;
    assert_killed_by("exec", SIGSYS);
    assert_killed_by("socket", SIGSYS);
    struct token_process p;
    struct chy_token_sign_item item = one(&p256);
    struct chy_token_config config = token_config(&fx, fixture_faulty());
    token_start(&p, &fx, &config, NULL);
    fixture_fault(&fx, "read-outside");
    assert_result(&token_sign(&p, &item, 1).results.p[0], CHY_E_TOKEN);
    token_drain(&p);
    assert_exit(&p, CHY_TOKEN_EXIT_DRAINED);
}

/* Nobody but the supervisor can help here; the next process works. */
static void test_token__is_replaced_when_the_module_hangs(void **state)
{
    (void)state;
    struct token_process p;
    struct chy_frame frame;
    struct chy_token_sign_item item = one(&p256);
    const struct chy_token_sign request = { .items = { &item, 1 } };
    struct chy_token_config config = token_config(&fx, fixture_faulty());
    token_start(&p, &fx, &config, NULL);
    fixture_fault(&fx, "hang");
    token_ask(&p, CHY_MSG_TOKEN_SIGN, &chy_token_sign_schema, &request);
    assert_code(chy_channel_receive_wait(p.signer, chy_clock_monotonic_us() + 200000, &frame, NULL),
                CHY_E_TIMEOUT);
    assert_code(chy_process_signal(&p.process, SIGKILL, NULL), CHY_OK);
    assert_true(token_end(&p).was_signal);
    fixture_fault(&fx, NULL);
    token_start(&p, &fx, &config, NULL);
    assert_result(&token_sign(&p, &item, 1).results.p[0], CHY_OK);
    token_drain(&p);
    assert_exit(&p, CHY_TOKEN_EXIT_DRAINED);
}

static void test_token__outlives_its_signer(void **state)
{
    (void)state;
    struct token_process p;
    struct chy_frame frame;
    struct chy_token_info_msg info;
    struct chy_token_sign_item item = one(&p256);
    struct chy_token_config config = token_config(&fx, fx.softhsm);
    token_start(&p, &fx, &config, NULL);
    assert_result(&token_sign(&p, &item, 1).results.p[0], CHY_OK);

    /* One that speaks out of turn is cut off. */
    const struct chy_ready nonsense = { CHY_STR("I am a token too") };
    token_ask(&p, CHY_MSG_READY, &chy_ready_schema, &nonsense);
    assert_code(chy_channel_receive_wait(p.signer, INT64_MAX, &frame, NULL), CHY_E_NOT_FOUND);
    token_send_peer(&p);
    p.last_id = 0;
    assert_true(token_answer(&p, CHY_MSG_TOKEN_INFO, &chy_token_info_msg_schema, &info));

    /* So is one whose frame is no request. */
    token_ask(&p, CHY_MSG_TOKEN_SIGN, &chy_ready_schema, &nonsense);
    assert_code(chy_channel_receive_wait(p.signer, INT64_MAX, &frame, NULL), CHY_E_NOT_FOUND);
    token_send_peer(&p);
    p.last_id = 0;
    assert_true(token_answer(&p, CHY_MSG_TOKEN_INFO, &chy_token_info_msg_schema, &info));
    assert_result(&token_sign(&p, &item, 1).results.p[0], CHY_OK);
    token_drain(&p);
    assert_exit(&p, CHY_TOKEN_EXIT_DRAINED);
}

static void test_token__ends_with_its_supervisor(void **state)
{
    (void)state;
    struct token_process p;
    struct chy_token_config config = token_config(&fx, fx.softhsm);
    token_start(&p, &fx, &config, NULL);
    chy_channel_close(p.supervisor);
    assert_exit(&p, CHY_TOKEN_EXIT_TROUBLE);

    token_begin(&p, &config);
    chy_channel_close(p.supervisor); /* before there was a PIN */
    assert_exit(&p, CHY_TOKEN_EXIT_TROUBLE);

    token_start(&p, &fx, &config, NULL);
    token_send_pin(&p, fixture_path(&fx, "pin")); /* a second one is out of turn */
    assert_exit(&p, CHY_TOKEN_EXIT_TROUBLE);

    token_begin(&p, &config);
    token_drain(&p); /* before it has begun */
    assert_exit(&p, CHY_TOKEN_EXIT_DRAINED);
}

static void test_token__spreads_a_hardware_batch_over_threads(void **state)
{
    (void)state;
    struct token_process p;
    struct chy_token_info info;
    struct chy_token_sign_item items[ITEMS];
    for (size_t i = 0; i < ITEMS; i++)
        items[i] = one(i % 2 == 0 ? &p256 : &rsa);
    fixture_fault(&fx, "hardware");
    struct chy_token_config config = token_config(&fx, fixture_faulty());
    config.is_software = false;
    config.threads = 4;
    struct chy_str ready = token_start(&p, &fx, &config, &info);
    assert_true(chy_str_starts(ready, "hardware token"));
    assert_false(info.is_software);
    const struct chy_token_drop drop = { .key = items[0].key };
    for (int round = 0; round < 5; round++) {
        struct chy_token_drop_reply dropped;
        struct chy_token_sign_reply reply = token_sign(&p, items, ITEMS);
        for (size_t i = 0; i < ITEMS; i++) {
            assert_result(&reply.results.p[i], CHY_OK);
            fixture_verify(i % 2 == 0 ? &p256 : &rsa, &items[i], reply.results.p[i].signature);
        }
        token_ask(&p, CHY_MSG_TOKEN_DROP, &chy_token_drop_schema, &drop);
        assert_true(
            token_answer(&p, CHY_MSG_TOKEN_DROP_REPLY, &chy_token_drop_reply_schema, &dropped));
        assert_int_equal(dropped.code, 0);
    }
    fixture_fault(&fx, "device-error 10");
    struct chy_token_sign_reply reply = token_sign(&p, items, ITEMS);
    size_t good = 0;
    for (size_t i = 0; i < ITEMS; i++) {
        bool is_good = reply.results.p[i].code == 0;
        good += is_good;
        if (!is_good)
            assert_result(&reply.results.p[i], CHY_E_TOKEN);
    }
    assert_int_equal(good, 10);
    assert_exit(&p, CHY_TOKEN_EXIT_TROUBLE);
}

/* SoftHSM 2.6.1 loses 64 bytes at each Ed25519 signature; a log signs many. */
static void test_token__retires_when_the_module_eats_memory(void **state)
{
    (void)state;
    struct token_process p;
    struct chy_token_sign_item items[ITEMS];
    for (size_t i = 0; i < ITEMS; i++)
        items[i] = one(&p256);
    fixture_fault(&fx, "leak");
    struct chy_token_config config = token_config(&fx, fixture_faulty());
    token_start(&p, &fx, &config, NULL);
    size_t signed_count = 0;
    for (;;) {
        struct chy_token_sign_reply reply;
        const struct chy_token_sign request = { .items = { items, ITEMS } };
        token_ask(&p, CHY_MSG_TOKEN_SIGN, &chy_token_sign_schema, &request);
        if (!token_answer(&p, CHY_MSG_TOKEN_SIGN_REPLY, &chy_token_sign_reply_schema, &reply))
            break;
        for (size_t i = 0; i < ITEMS; i++)
            assert_result(&reply.results.p[i], CHY_OK);
        signed_count += ITEMS;
    }
    /* 1 MiB each; it looks every CHY_LIMIT_TOKEN_LOOK signatures. */
    assert_in_range(signed_count, CHY_LIMIT_TOKEN_HEAP >> 20,
                    (CHY_LIMIT_TOKEN_HEAP >> 20) + CHY_LIMIT_TOKEN_LOOK + ITEMS);
    assert_exit(&p, CHY_TOKEN_EXIT_RETIRED);
}

#define WINDOW       ((size_t)1 << 20)
#define REGION_MAX   ((uint64_t)1 << 30) /* a sanitizer's own memory is larger */
#define NEEDLE_BYTES 64

static bool region_has(int mem, uint64_t start, uint64_t end, struct chy_bytes needle)
{
    static uint8_t window[WINDOW + NEEDLE_BYTES];
    for (uint64_t at = start; at < end; at += WINDOW) {
        ssize_t n = pread(mem, window, CHY_MIN(sizeof window, end - at), (off_t)at);
        if (n > 0 && memmem(window, (size_t)n, needle.p, needle.n) != NULL)
            return true;
    }
    return false;
}

static bool memory_has(pid_t pid, struct chy_bytes needle)
{
    char path[64];
    char line[512];
    bool is_found = false;
    assert_true(needle.n > 0 && needle.n <= NEEDLE_BYTES);
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int mem = open(path, O_RDONLY | O_CLOEXEC);
    assert_non_null(maps);
    assert_true(mem >= 0);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long start = 0;
        unsigned long end = 0;
        int n_read = sscanf(line, "%lx-%lx r", /* checksrc: the kernel's own text */
                            &start, &end);
        if (n_read == 2 && end - start <= REGION_MAX && region_has(mem, start, end, needle))
            is_found = true;
    }
    fclose(maps);
    close(mem);
    return is_found;
}

/* After it has logged in, the process does not have the PIN any more. */
static void test_token__forgets_the_pin(void **state)
{
    (void)state;
    struct token_process p;
    struct chy_token_config config = token_config(&fx, fx.softhsm);
    struct chy_token_sign_item item = one(&rsa);
    token_start(&p, &fx, &config, NULL);
    for (int i = 0; i < 50; i++)
        assert_result(&token_sign(&p, &item, 1).results.p[0], CHY_OK);
    /* We do see its memory, and there is no PIN in it. */
    assert_true(memory_has(p.process.pid, chy_str_bytes(CHY_STR(FIXTURE_LABEL))));
    assert_false(memory_has(p.process.pid, chy_secret_bytes(fx.pin)));
    token_drain(&p);
    assert_exit(&p, CHY_TOKEN_EXIT_DRAINED);
}

static int give_to_nobody(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return lchown(path, 65534, 65534);
}

static void test_token__runs_as_another_user(void **state)
{
    (void)state;
    struct token_process p;
    struct chy_token_sign_item item = one(&p256);
    struct chy_token_config config = token_config(&fx, fx.softhsm);
    config.user = CHY_STR("nobody");
    config.copy_keys = false; /* so that it reads its files all the time */
    assert_int_equal(nftw(fx.dir, give_to_nobody, 16, FTW_PHYS), 0);
    token_start(&p, &fx, &config, NULL);
    for (int i = 0; i < 3; i++)
        assert_result(&token_sign(&p, &item, 1).results.p[0], CHY_OK);
    token_drain(&p);
    assert_exit(&p, CHY_TOKEN_EXIT_DRAINED);
}

#define TEST(name) cmocka_unit_test_teardown(name, mend)

int main(void)
{
    if (kernel_skips_all())
        return 0;
    const struct CMUnitTest loose[] = {
        TEST(test_token__signs_batches_and_drains),
        TEST(test_token__makes_finds_and_destroys_keys),
        TEST(test_token__two_processes_share_a_token),
        TEST(test_token__ends_for_good_when_it_is_set_up_wrongly),
        TEST(test_token__answers_and_ends_when_the_device_fails),
        TEST(test_token__tells_of_a_quarantine),
        TEST(test_token__dies_of_a_module_that_crashes),
        TEST(test_token__is_replaced_when_the_module_hangs),
        TEST(test_token__outlives_its_signer),
        TEST(test_token__ends_with_its_supervisor),
        TEST(test_token__spreads_a_hardware_batch_over_threads),
    };
    /* A sanitizer needs what the sandbox takes, and has a heap of its own that tells nothing. */
    const struct CMUnitTest tight[] = {
        TEST(test_token__keeps_the_module_in_its_sandbox),
        TEST(test_token__retires_when_the_module_eats_memory),
    };
    /* Nobody else may change his user, or look into the process's memory. */
    const struct CMUnitTest root[] = {
        TEST(test_token__forgets_the_pin),
        TEST(test_token__runs_as_another_user),
    };
    struct CMUnitTest tests[CHY_ARRAY_LEN(loose) + CHY_ARRAY_LEN(tight) + CHY_ARRAY_LEN(root)];
    size_t n = CHY_ARRAY_LEN(loose);
    memcpy(tests, loose, sizeof loose);
    if (!chy_sandbox_is_loose()) {
        memcpy(tests + n, tight, sizeof tight);
        n += CHY_ARRAY_LEN(tight);
    }
    if (geteuid() == 0) {
        memcpy(tests + n, root, sizeof root);
        n += CHY_ARRAY_LEN(root);
    }
    return _cmocka_run_group_tests("token", tests, n, make, clean);
}
