/* SPDX-License-Identifier: MIT */
/* An agent for tests of the module: speaks proto/door.h, holds real keys (OpenSSL's), and goes
 * wrong on demand. Either `fake_agent --listen PATH`, which writes "ready" to standard output and
 * ends with its standard input; or, as the module's helper, `chancery @helper`.
 *
 * $FAKE_AGENT_DIR is a folder for both ways:
 *   keys     how many keys besides the real ones, "key-00001" and on, all with the P-256 key
 *   revision of the list, read anew each time
 *   fault    read at each request, WHEN WHAT: WHEN is `hello`, `keys`, `sign`, `verify`, `hash`,
 *            `end` or `any`, and WHAT is
 *              never      no answer comes
 *              never-once likewise, the first time
 *              close      the connection is closed instead
 *              close-once likewise, the first time
 *              exit       the whole process ends instead
 *              exit-once  likewise, the first time
 *              slow       the answer comes byte by byte
 *              garbage    the answer is no frame
 *              long       a frame longer than any may be
 *              kind, id   of the answer are wrong
 *              body       of the answer does not decode
 *              behind     the answer is more bytes
 *              refuse     E_DENIED
 *              integrity  E_INTEGRITY
 *              unknown    a code that does not exist
 *              short      a signature or digest of one byte less
 *              half       a key without its point or modulus; endless  pages without an end
 *   log      a line for each request: its kind, and what it names */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "codec/frame.h"
#include "os/fd.h"
#include "os/socket.h"
#include "proto/door.h"

#define STREAMS_MAX 8
#define PAGE        CHY_LIMIT_KEY_PAGE

#define CHECK(cond) ((cond) ? (void)0 : die(#cond, __LINE__))

static void die(const char *what, int line)
{
    dprintf(STDERR_FILENO, "fake_agent:%d: %s\n", line, what);
    _exit(3);
}

/* --- the folder --- */

static const char *folder;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static size_t folder_read(const char *name, char *to, size_t room)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    size_t n = file != NULL ? fread(to, 1, room - 1, file) : 0;
    if (file != NULL)
        fclose(file);
    to[n] = '\0';
    to[strcspn(to, "\n")] = '\0';
    return strlen(to);
}

static unsigned folder_number(const char *name)
{
    char text[32];
    unsigned n = 0;
    folder_read(name, text, sizeof text);
    for (const char *p = text; *p >= '0' && *p <= '9'; p++)
        n = n * 10 + (unsigned)(*p - '0');
    return n;
}

static void folder_remove(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
}

static void log_line(const char *kind, struct chy_str what)
{
    char path[512];
    snprintf(path, sizeof path, "%s/log", folder);
    pthread_mutex_lock(&log_lock);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    dprintf(fd, "%s %.*s\n", kind, CHY_STR_ARG(what));
    close(fd);
    pthread_mutex_unlock(&log_lock);
}

/* --- keys --- */

struct fake_key {
    const char *name;
    const char *curve; /* NULL: RSA or Ed25519 */
    unsigned bits;
    enum chy_key_type type;
    EVP_PKEY *key;
    struct chy_door_key door;
    struct chy_door_certificate certificate;
    uint8_t id[16];
};

static struct fake_key keys[] = {
    { .name = "rsa-2048", .bits = 2048, .type = CHY_KEY_RSA_2048 },
    { .name = "rsa-3072", .bits = 3072, .type = CHY_KEY_RSA_3072 },
    { .name = "p256", .curve = "prime256v1", .type = CHY_KEY_P256 },
    { .name = "p384", .curve = "secp384r1", .type = CHY_KEY_P384 },
    { .name = "p521", .curve = "secp521r1", .type = CHY_KEY_P521 },
    { .name = "ed25519", .type = CHY_KEY_ED25519 },
};
#define P256 (&keys[2])

static EVP_PKEY *ca_key;
static X509 *ca;
static struct chy_door_certificate authority;

/* The caller's; all is kept until the end. */
#define DER_OF(function, object)                \
    __extension__({                             \
        unsigned char *der_ = NULL;             \
        int n_ = function((object), &der_);     \
        CHECK(n_ > 0);                          \
        (struct chy_bytes){ der_, (size_t)n_ }; \
    })

static EVP_PKEY *key_generate(const struct fake_key *k)
{
    if (k->curve != NULL)
        return EVP_EC_gen(k->curve);
    return k->bits != 0 ? EVP_RSA_gen(k->bits) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

/* From $FAKE_AGENT_CACHE, where an agent before this one left it: RSA keys take seconds. */
static EVP_PKEY *key_make(const struct fake_key *k)
{
    char path[512];
    const char *cache = secure_getenv("FAKE_AGENT_CACHE");
    snprintf(path, sizeof path, "%s/%s", cache != NULL ? cache : "/nonexistent", k->name);
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = file != NULL ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    if (file != NULL)
        fclose(file);
    if (key != NULL)
        return key;
    key = key_generate(k);
    file = fopen(path, "we");
    if (file != NULL) {
        CHECK(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
        fclose(file);
    }
    return key;
}

static X509 *certificate_make(EVP_PKEY *key, const char *name, long serial)
{
    X509 *x = X509_new();
    X509_NAME *subject = X509_get_subject_name(x);
    CHECK(X509_set_version(x, 2) == 1 && X509_set_pubkey(x, key) == 1);
    CHECK(ASN1_INTEGER_set(X509_get_serialNumber(x), serial) == 1);
    CHECK(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                     -1, 0) == 1);
    CHECK(X509_set_issuer_name(x, ca != NULL ? X509_get_subject_name(ca) : subject) == 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    CHECK(X509_sign(x, ca_key, EVP_sha256()) > 0);
    return x;
}

static struct chy_door_certificate door_certificate(X509 *x, const char *label, struct chy_bytes id)
{
    return (struct chy_door_certificate){
        .label = chy_str_of(label),
        .id = id,
        .der = DER_OF(i2d_X509, x),
        .subject = DER_OF(i2d_X509_NAME, X509_get_subject_name(x)),
        .issuer = DER_OF(i2d_X509_NAME, X509_get_issuer_name(x)),
        .serial = DER_OF(i2d_ASN1_INTEGER, X509_get_serialNumber(x)),
    };
}

static struct chy_bytes number_of(EVP_PKEY *key, const char *name)
{
    BIGNUM *number = NULL;
    CHECK(EVP_PKEY_get_bn_param(key, name, &number) == 1);
    unsigned char *p = malloc((size_t)BN_num_bytes(number));
    CHECK(p != NULL);
    struct chy_bytes bytes = { p, (size_t)BN_bn2bin(number, p) };
    BN_free(number);
    return bytes;
}

static struct chy_bytes octet_string(const unsigned char *p, size_t n)
{
    ASN1_OCTET_STRING *s = ASN1_OCTET_STRING_new();
    CHECK(ASN1_OCTET_STRING_set(s, p, (int)n) == 1);
    struct chy_bytes der = DER_OF(i2d_ASN1_OCTET_STRING, s);
    ASN1_OCTET_STRING_free(s);
    return der;
}

static void door_key_set(struct fake_key *k)
{
    struct chy_door_key *d = &k->door;
    *d = (struct chy_door_key){ .name = chy_str_of(k->name),
                                .label = chy_str_of(k->name),
                                .id = { k->id, sizeof k->id },
                                .type = k->type,
                                .public_key = DER_OF(i2d_PUBKEY, k->key),
                                .certificate = &k->certificate };
    if (k->bits != 0) {
        d->modulus = number_of(k->key, "n");
        d->public_exponent = number_of(k->key, "e");
        return;
    }
    unsigned char point[256];
    size_t n = 0;
    CHECK(EVP_PKEY_get_octet_string_param(k->key, "pub", point, sizeof point, &n) == 1);
    d->ec_point = octet_string(point, n);
    d->ec_params = DER_OF(i2d_ASN1_OBJECT, OBJ_txt2obj(k->curve != NULL ? k->curve : "ED25519", 0));
}

static void keys_make(void)
{
    ca_key = EVP_EC_gen("prime256v1");
    ca = certificate_make(ca_key, "Fake CA", 1);
    authority = door_certificate(ca, "Fake CA", chy_str_bytes(CHY_STR("fake-ca-id")));
    for (size_t i = 0; i < CHY_ARRAY_LEN(keys); i++) {
        memset(keys[i].id, (int)i + 1, sizeof keys[i].id);
        keys[i].key = key_make(&keys[i]);
        CHECK(keys[i].key != NULL);
        X509 *x = certificate_make(keys[i].key, keys[i].name, (long)i + 2);
        keys[i].certificate =
            door_certificate(x, keys[i].name, (struct chy_bytes){ keys[i].id, sizeof keys[i].id });
        door_key_set(&keys[i]);
    }
}

/* The i-th of the numbered keys. */
static struct chy_door_key numbered_key(size_t i, struct chy_arena *arena)
{
    struct chy_door_key d = P256->door;
    struct chy_door_certificate *c = chy_arena_new(arena, struct chy_door_certificate);
    *c = P256->certificate;
    d.name = chy_arena_printf(arena, "key-%05zu", i);
    d.label = d.name;
    d.id = chy_str_bytes(chy_arena_printf(arena, "id-of-key-%06zu", i));
    c->label = d.name;
    c->id = d.id;
    d.certificate = c;
    return d;
}

static size_t keys_count(void)
{
    return CHY_ARRAY_LEN(keys) + folder_number("keys");
}

static struct chy_door_key key_at(size_t i, struct chy_arena *arena)
{
    return i < CHY_ARRAY_LEN(keys) ? keys[i].door
                                   : numbered_key(i - CHY_ARRAY_LEN(keys) + 1, arena);
}

static struct fake_key *key_named(struct chy_str name)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(keys); i++)
        if (chy_str_equal_c(name, keys[i].name))
            return &keys[i];
    return chy_str_starts(name, "key-") ? P256 : NULL;
}

/* --- a connection --- */

struct stream {
    uint64_t number;
    EVP_MD_CTX *hash;
};

struct conn {
    int fd;
    struct chy_buf in;
    struct stream streams[STREAMS_MAX];
    struct chy_arena arena;
    uint64_t id; /* of the request */
    char fault[32];
    struct chy_buf made; /* the answer's bytes */
};

static bool is_fault(const struct conn *c, const char *what)
{
    return strcmp(c->fault, what) == 0;
}

static bool write_all(int fd, const uint8_t *p, size_t n, size_t step)
{
    while (n > 0) {
        ssize_t done = send(fd, p, step != 0 && step < n ? step : n, MSG_NOSIGNAL);
        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
        if (step != 0)
            poll(NULL, 0, 1);
    }
    return true;
}

static bool frame_write(struct conn *c, uint16_t type, struct chy_bytes body)
{
    struct chy_frame frame = { .type = type, .id = c->id, .body = body };
    struct chy_buf out;
    if (is_fault(c, "kind"))
        frame.type = CHY_DOOR_STATUS_REPLY;
    if (is_fault(c, "id"))
        frame.id += 7;
    chy_buf_init(&out, CHY_LIMIT_FRAME + CHY_FRAME_LENGTH_BYTES);
    CHECK(chy_frame_encode(&out, &frame, NULL) == CHY_OK);
    if (is_fault(c, "garbage"))
        memset(out.p, 0xff, out.n);
    if (is_fault(c, "long"))
        memcpy(out.p, "\x7f\xff\xff\xff", 4);
    if (is_fault(c, "behind"))
        chy_buf_append_c(&out, "more");
    bool is_good = write_all(c->fd, out.p, out.n, is_fault(c, "slow") ? 1 : 0);
    chy_buf_done(&out);
    return is_good;
}

static bool reply(struct conn *c, uint16_t type, const struct chy_schema *schema, const void *value)
{
    struct chy_buf body;
    chy_buf_init(&body, CHY_LIMIT_FRAME);
    struct chy_error err;
    if (chy_schema_encode(schema, value, &body, &err) != CHY_OK)
        die(err.text, __LINE__);
    if (is_fault(c, "body"))
        chy_buf_append_u8(&body, 1);
    bool is_good = frame_write(c, type, chy_buf_bytes(&body));
    chy_buf_done(&body);
    return is_good;
}

static bool fail(struct conn *c, uint32_t code, const char *text)
{
    struct chy_door_failure failure = { .code = code,
                                        .text = chy_str_of(text),
                                        .request_id = CHY_STR("7") };
    return reply(c, CHY_DOOR_FAILED, &chy_door_failure_schema, &failure);
}

static const EVP_MD *md_of(enum chy_hash_alg hash)
{
    return hash == CHY_HASH_SHA256   ? EVP_sha256()
           : hash == CHY_HASH_SHA384 ? EVP_sha384()
           : hash == CHY_HASH_SHA512 ? EVP_sha512()
                                     : NULL;
}

static struct stream *stream_find(struct conn *c, uint64_t number)
{
    for (size_t i = 0; i < STREAMS_MAX; i++)
        if (c->streams[i].number == number)
            return &c->streams[i];
    return NULL;
}

static size_t stream_end(struct stream *s, uint8_t digest[EVP_MAX_MD_SIZE])
{
    unsigned n = 0;
    CHECK(EVP_DigestFinal_ex(s->hash, digest, &n) == 1);
    EVP_MD_CTX_free(s->hash);
    *s = (struct stream){ 0 };
    return n;
}

static bool on_hash_add(struct conn *c, struct chy_bytes body)
{
    struct chy_door_hash_add add;
    CHECK(chy_schema_decode(&chy_door_hash_add_schema, body, &c->arena, &add, NULL) == CHY_OK);
    CHECK(add.stream != 0 && md_of(add.hash) != NULL);
    struct stream *s = stream_find(c, add.stream);
    if (s == NULL) {
        s = stream_find(c, 0);
        if (s == NULL)
            return fail(c, -CHY_E_BUSY, "too many streams");
        *s = (struct stream){ add.stream, EVP_MD_CTX_new() };
        CHECK(EVP_DigestInit_ex(s->hash, md_of(add.hash), NULL) == 1);
    }
    CHECK(EVP_DigestUpdate(s->hash, add.data.p, add.data.n) == 1);
    return reply(c, CHY_DOOR_HASH_ADDED, &chy_empty_schema, &(struct chy_empty){ 0 });
}

static bool on_hash_end(struct conn *c, struct chy_bytes body)
{
    struct chy_door_stream end;
    uint8_t digest[EVP_MAX_MD_SIZE];
    struct chy_door_hashed hashed = { .digest = { digest, 0 } };
    CHECK(chy_schema_decode(&chy_door_stream_schema, body, &c->arena, &end, NULL) == CHY_OK);
    struct stream *s = stream_find(c, end.stream);
    if (s != NULL)
        hashed.digest.n = stream_end(s, digest);
    if (is_fault(c, "short") && s != NULL)
        hashed.digest.n--;
    return reply(c, CHY_DOOR_HASHED, &chy_door_hashed_schema, &hashed);
}

/* --- keys --- */

static void page_fill(struct chy_door_key_page *page, size_t from, struct chy_arena *arena)
{
    size_t n = CHY_MIN(keys_count() - from, (size_t)PAGE);
    struct chy_door_key *all = chy_arena_array(arena, struct chy_door_key, n);
    for (size_t i = 0; i < n; i++)
        all[i] = key_at(from + i, arena);
    page->keys.p = all;
    page->keys.n = n;
    if (from + n < keys_count())
        page->next = chy_arena_printf(arena, "%zu", from + n);
}

static bool key_is_asked(const struct chy_door_key *k, const struct chy_door_keys *asked)
{
    return (asked->label.n == 0 || chy_str_equal(k->label, asked->label)) &&
           (asked->id.n == 0 || chy_bytes_equal(k->id, asked->id));
}

static void one_fill(struct chy_door_key_page *page, const struct chy_door_keys *asked,
                     struct chy_arena *arena)
{
    struct chy_door_key *found = chy_arena_new(arena, struct chy_door_key);
    page->keys.p = found;
    size_t n = keys_count();
    for (size_t i = 0; i < n && page->keys.n == 0; i++) {
        *found = key_at(i, arena);
        page->keys.n = key_is_asked(found, asked);
    }
}

static size_t number_in(struct chy_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n = n * 10 + (size_t)(s.p[i] - '0');
    return n;
}

static bool on_keys(struct conn *c, struct chy_bytes body)
{
    struct chy_door_keys asked;
    struct chy_door_key_page page = { .authorities = { &authority, 1 } };
    CHECK(chy_schema_decode(&chy_door_keys_schema, body, &c->arena, &asked, NULL) == CHY_OK);
    bool is_one = asked.label.n != 0 || asked.id.n != 0;
    log_line(is_one ? "key" : "keys", asked.label);
    if (is_one) {
        one_fill(&page, &asked, &c->arena);
        page.authorities.n = page.keys.n;
    } else {
        page.revision = 1 + folder_number("revision");
        page.is_unchanged = asked.revision == page.revision;
        if (page.is_unchanged)
            page.authorities.n = 0;
        else
            page_fill(&page, number_in(asked.after), &c->arena);
    }
    struct chy_door_key half = P256->door;
    half.ec_point.n = 0;
    if (is_fault(c, "half")) {
        page.keys.p = &half;
        page.keys.n = 1;
    }
    if (is_fault(c, "endless"))
        page.next = CHY_STR("0");
    return reply(c, CHY_DOOR_KEY_PAGE, &chy_door_key_page_schema, &page);
}

/* --- signing --- */

/* What is signed, as OpenSSL wants it: the digest, or the message of Ed25519. */
struct signing {
    struct fake_key *key;
    const EVP_MD *md; /* NULL: the data goes in as it is */
    struct chy_bytes data;
    bool is_pss;
    uint8_t digest[EVP_MAX_MD_SIZE];
};

static bool signing_set(struct conn *c, const struct chy_door_input *in, struct signing *s)
{
    unsigned n = 0;
    *s = (struct signing){ .key = key_named(in->key),
                           .md = md_of(in->hash),
                           .data = in->data,
                           .is_pss = in->scheme == CHY_DOOR_RSA_PSS };
    if (s->key == NULL)
        return false;
    struct stream *stream = in->stream != 0 ? stream_find(c, in->stream) : NULL;
    if (in->stream != 0 && stream == NULL)
        return false;
    if (stream != NULL)
        s->data = (struct chy_bytes){ s->digest, stream_end(stream, s->digest) };
    else if (in->is_message && s->md != NULL) {
        CHECK(EVP_Digest(in->data.p, in->data.n, s->digest, &n, s->md, NULL) == 1);
        s->data = (struct chy_bytes){ s->digest, n };
    }
    return true;
}

static EVP_PKEY_CTX *context_of(const struct signing *s, int (*init)(EVP_PKEY_CTX *))
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(s->key->key, NULL);
    CHECK(ctx != NULL && init(ctx) == 1);
    if (s->key->bits != 0) {
        CHECK(EVP_PKEY_CTX_set_rsa_padding(ctx, s->is_pss ? RSA_PKCS1_PSS_PADDING
                                                          : RSA_PKCS1_PADDING) == 1);
        CHECK(s->md == NULL || EVP_PKEY_CTX_set_signature_md(ctx, s->md) == 1);
        CHECK(!s->is_pss || EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
    }
    return ctx;
}

static size_t raw_from_der(const struct fake_key *k, uint8_t *sig, size_t n)
{
    const unsigned char *p = sig;
    size_t half = (size_t)(EVP_PKEY_get_bits(k->key) + 7) / 8;
    ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &p, (long)n);
    CHECK(parsed != NULL);
    CHECK(BN_bn2binpad(ECDSA_SIG_get0_r(parsed), sig, (int)half) > 0);
    CHECK(BN_bn2binpad(ECDSA_SIG_get0_s(parsed), sig + half, (int)half) > 0);
    ECDSA_SIG_free(parsed);
    return 2 * half;
}

static size_t sign(const struct signing *s, uint8_t *sig, size_t room)
{
    if (s->key->type == CHY_KEY_ED25519) {
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        CHECK(EVP_DigestSignInit(md, NULL, NULL, NULL, s->key->key) == 1);
        CHECK(EVP_DigestSign(md, sig, &room, s->data.p, s->data.n) == 1);
        EVP_MD_CTX_free(md);
        return room;
    }
    EVP_PKEY_CTX *ctx = context_of(s, EVP_PKEY_sign_init);
    CHECK(EVP_PKEY_sign(ctx, sig, &room, s->data.p, s->data.n) == 1);
    EVP_PKEY_CTX_free(ctx);
    return s->key->curve != NULL ? raw_from_der(s->key, sig, room) : room;
}

static bool on_sign(struct conn *c, struct chy_bytes body)
{
    struct chy_door_sign request;
    struct signing s;
    uint8_t sig[1024];
    struct chy_error err;
    if (chy_schema_decode(&chy_door_sign_schema, body, &c->arena, &request, &err) != CHY_OK)
        die(err.text, __LINE__);
    log_line(request.input.stream != 0 ? "sign-stream" : "sign", request.input.key);
    if (!signing_set(c, &request.input, &s))
        return fail(c, -CHY_E_NOT_FOUND, "no such key");
    struct chy_door_signed done = { { sig, sign(&s, sig, sizeof sig) } };
    if (is_fault(c, "short"))
        done.signature.n--;
    return reply(c, CHY_DOOR_SIGNED, &chy_door_signed_schema, &done);
}

static bool verify_ed(const struct signing *s, struct chy_bytes sig)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    CHECK(EVP_DigestVerifyInit(md, NULL, NULL, NULL, s->key->key) == 1);
    int r = EVP_DigestVerify(md, sig.p, sig.n, s->data.p, s->data.n);
    EVP_MD_CTX_free(md);
    return r == 1;
}

static struct chy_bytes der_from_raw(struct chy_bytes raw)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    size_t half = raw.n / 2;
    CHECK(ECDSA_SIG_set0(sig, BN_bin2bn(raw.p, (int)half, NULL),
                         BN_bin2bn(raw.p + half, (int)half, NULL)) == 1);
    struct chy_bytes der = DER_OF(i2d_ECDSA_SIG, sig);
    ECDSA_SIG_free(sig);
    return der;
}

static bool verify(const struct signing *s, struct chy_bytes sig)
{
    if (s->key->type == CHY_KEY_ED25519)
        return verify_ed(s, sig);
    struct chy_bytes der = s->key->curve != NULL ? der_from_raw(sig) : sig;
    EVP_PKEY_CTX *ctx = context_of(s, EVP_PKEY_verify_init);
    int r = EVP_PKEY_verify(ctx, der.p, der.n, s->data.p, s->data.n);
    EVP_PKEY_CTX_free(ctx);
    return r == 1;
}

static bool on_verify(struct conn *c, struct chy_bytes body)
{
    struct chy_door_verify request;
    struct signing s;
    CHECK(chy_schema_decode(&chy_door_verify_schema, body, &c->arena, &request, NULL) == CHY_OK);
    log_line("verify", request.input.key);
    if (!signing_set(c, &request.input, &s))
        return fail(c, -CHY_E_NOT_FOUND, "no such key");
    if (!verify(&s, request.signature))
        return fail(c, -CHY_E_INTEGRITY, "it is not good");
    return reply(c, CHY_DOOR_VERIFIED, &chy_empty_schema, &(struct chy_empty){ 0 });
}

static bool on_hello(struct conn *c, struct chy_bytes body)
{
    struct chy_door_hello hello;
    struct chy_door_welcome welcome = { CHY_DOOR_VERSION, CHY_STR("fake") };
    CHECK(chy_schema_decode(&chy_door_hello_schema, body, &c->arena, &hello, NULL) == CHY_OK);
    CHECK(hello.version == CHY_DOOR_VERSION);
    log_line("hello", hello.reason);
    log_line("receipts", hello.receipts);
    for (size_t i = 0; i < hello.keys.n; i++)
        log_line("show", hello.keys.p[i]);
    if (hello.tag.n != 0)
        log_line("tag", chy_bytes_str(hello.tag));
    return reply(c, CHY_DOOR_WELCOME, &chy_door_welcome_schema, &welcome);
}

/* --- requests --- */

static const struct {
    uint16_t type;
    const char *name;
    bool (*run)(struct conn *c, struct chy_bytes body);
} handlers[] = {
    { CHY_DOOR_HELLO, "hello", on_hello },      { CHY_DOOR_KEYS, "keys", on_keys },
    { CHY_DOOR_SIGN, "sign", on_sign },         { CHY_DOOR_VERIFY, "verify", on_verify },
    { CHY_DOOR_HASH_ADD, "hash", on_hash_add }, { CHY_DOOR_HASH_END, "end", on_hash_end },
};

/* The fault for this kind of request, if there is one. */
static void fault_read(struct conn *c, const char *name)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    char text[64];
    c->fault[0] = '\0';
    pthread_mutex_lock(&lock);
    folder_read("fault", text, sizeof text);
    char *what = strchr(text, ' ');
    if (what != NULL) {
        *what++ = '\0';
        if (strcmp(text, name) == 0 || strcmp(text, "any") == 0) {
            snprintf(c->fault, sizeof c->fault, "%s", what);
            if (strstr(what, "-once") != NULL)
                folder_remove("fault");
        }
    }
    pthread_mutex_unlock(&lock);
}

static bool handle(struct conn *c, const struct chy_frame *frame)
{
    c->id = frame->id;
    for (size_t i = 0; i < CHY_ARRAY_LEN(handlers); i++) {
        if (handlers[i].type != frame->type)
            continue;
        fault_read(c, handlers[i].name);
        if (c->fault[0] != '\0')
            log_line("fault", chy_str_of(c->fault));
        if (strncmp(c->fault, "exit", 4) == 0)
            _exit(0);
        if (strncmp(c->fault, "close", 5) == 0)
            return false;
        if (strncmp(c->fault, "never", 5) == 0)
            return true;
        if (is_fault(c, "refuse"))
            return fail(c, -CHY_E_DENIED, "rule 7 says no");
        if (is_fault(c, "integrity"))
            return fail(c, -CHY_E_INTEGRITY, "broken");
        if (is_fault(c, "unknown"))
            return fail(c, 9999, "?");
        return handlers[i].run(c, frame->body);
    }
    return false;
}

static void *conn_run(void *arg)
{
    struct conn c = { .fd = (int)(intptr_t)arg };
    chy_buf_init(&c.in, CHY_LIMIT_FRAME + 65536);
    chy_arena_init(&c.arena, CHY_LIMIT_ARENA);
    for (;;) {
        struct chy_frame frame;
        size_t used = 0;
        if (chy_frame_decode(chy_buf_bytes(&c.in), &frame, &used, NULL) != CHY_OK)
            break;
        if (used != 0) {
            bool is_good = handle(&c, &frame);
            chy_arena_reset(&c.arena);
            chy_buf_consume(&c.in, used);
            if (!is_good)
                break;
            continue;
        }
        uint8_t *to = chy_buf_room(&c.in, 65536);
        ssize_t n = to != NULL ? recv(c.fd, to, 65536, 0) : -1;
        if (n <= 0)
            break;
        chy_buf_added(&c.in, (size_t)n);
    }
    close(c.fd);
    for (size_t i = 0; i < STREAMS_MAX; i++)
        EVP_MD_CTX_free(c.streams[i].hash);
    chy_buf_done(&c.in);
    chy_arena_done(&c.arena);
    return NULL;
}

static void conn_start(int fd)
{
    pthread_t thread;
    CHECK(chy_fd_set_nonblocking(fd, false, NULL) == CHY_OK);
    CHECK(pthread_create(&thread, NULL, conn_run, (void *)(intptr_t)fd) == 0);
    CHECK(pthread_detach(thread) == 0);
}

/* --- the two ways to run --- */

static void listen_run(const char *path)
{
    char address[256];
    char peer[CHY_SOCKET_TEXT_BYTES];
    int fd = -1;
    struct chy_error err;
    snprintf(address, sizeof address, "unix:%s", path);
    if (chy_socket_listen(chy_str_of(address), 0777, &fd, &err) != CHY_OK)
        die(err.text, __LINE__);
    CHECK(write(STDOUT_FILENO, "ready\n", 6) == 6);
    struct pollfd fds[] = { { .fd = fd, .events = POLLIN }, { .fd = 0, .events = POLLIN } };
    while (poll(fds, 2, -1) > 0 && fds[1].revents == 0) {
        int conn = -1;
        if (chy_socket_accept(fd, &conn, peer, NULL) == CHY_OK && conn >= 0)
            conn_start(conn);
    }
    unlink(path);
}

/* One ADOPT: a frame with a descriptor. */
static bool adopt(void)
{
    uint8_t frame[CHY_FRAME_HEADER_BYTES];
    int fd = -1;
    union {
        char room[CMSG_SPACE(sizeof fd)];
        struct cmsghdr align;
    } control;
    struct iovec part = { frame, sizeof frame };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.room,
                              .msg_controllen = sizeof control.room };
    if (recvmsg(CHY_DOOR_CONTROL_FD, &message, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof frame)
        return false;
    CHECK(frame[4] * 256 + frame[5] == CHY_DOOR_ADOPT);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    CHECK(header != NULL && header->cmsg_type == SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    conn_start(fd);
    return true;
}

static void helper_run(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid > 0)
        _exit(0);
    char text[16];
    snprintf(text, sizeof text, "%d", (int)getpid());
    keys_make();
    log_line("helper", chy_str_of(text));
    while (adopt())
        ;
}

int main(int count, char **arguments)
{
    folder = secure_getenv("FAKE_AGENT_DIR");
    CHECK(folder != NULL && count >= 2);
    if (strcmp(arguments[1], CHY_DOOR_HELPER_ROLE) == 0) {
        helper_run();
        _exit(0); /* keys and threads are left to the system */
    }
    CHECK(count == 3 && strcmp(arguments[1], "--listen") == 0);
    keys_make();
    listen_run(arguments[2]);
    _exit(0);
}
