/* SPDX-License-Identifier: MIT */
#include "tlog/merkle.h"

#include <inttypes.h>

#include "crypto/hash.h"

static struct chy_bytes hash_bytes(const struct chy_tlog_hash *hash)
{
    return (struct chy_bytes){ hash->b, sizeof hash->b };
}

bool chy_tlog_hash_equal(const struct chy_tlog_hash *a, const struct chy_tlog_hash *b)
{
    return chy_bytes_equal(hash_bytes(a), hash_bytes(b));
}

void chy_tlog_leaf_hash(struct chy_hasher *h, struct chy_bytes entry, struct chy_tlog_hash *ret)
{
    static const uint8_t prefix[] = { 0x00 };
    chy_hasher_add(h, (struct chy_bytes){ prefix, 1 });
    chy_hasher_add(h, entry);
    chy_hasher_end(h, ret->b);
}

void chy_tlog_node_hash(struct chy_hasher *h, const struct chy_tlog_hash *left,
                        const struct chy_tlog_hash *right, struct chy_tlog_hash *ret)
{
    uint8_t both[1 + 2 * CHY_HASH_BYTES];
    both[0] = 0x01;
    memcpy(both + 1, left->b, CHY_HASH_BYTES);
    memcpy(both + 1 + CHY_HASH_BYTES, right->b, CHY_HASH_BYTES);
    chy_hasher_add(h, (struct chy_bytes){ both, sizeof both });
    chy_hasher_end(h, ret->b);
}

void chy_tlog_empty_hash(struct chy_hasher *h, struct chy_tlog_hash *ret)
{
    chy_hasher_end(h, ret->b);
}

enum chy_err chy_tlog_edge_make(struct chy_hasher *h, const struct chy_tlog_nodes *nodes,
                                uint64_t size, struct chy_tlog_edge *ret_edge,
                                struct chy_error *err)
{
    if (size > CHY_LIMIT_LOG_SIZE)
        return chy_fail(err, CHY_E_ARG, "a log cannot have %" PRIu64 " entries", size);
    struct chy_tlog_edge edge = { .size = size, .levels = 1 };
    if (size == 0) {
        chy_tlog_empty_hash(h, &edge.last[0]);
        *ret_edge = edge;
        return CHY_OK;
    }
    CHY_TRY(nodes->read(nodes->ctx, 0, size - 1, &edge.last[0], err));
    /* A last node that is a left child has no sibling and stands for its parent. */
    unsigned b = 0;
    for (uint64_t k = size - 1; k > 0; k >>= 1, b++) {
        edge.last[b + 1] = edge.last[b];
        if (k % 2 != 0) {
            struct chy_tlog_hash left;
            CHY_TRY(nodes->read(nodes->ctx, b, k - 1, &left, err));
            chy_tlog_node_hash(h, &left, &edge.last[b], &edge.last[b + 1]);
        }
    }
    edge.levels = b + 1;
    *ret_edge = edge;
    return CHY_OK;
}

const struct chy_tlog_hash *chy_tlog_edge_root(const struct chy_tlog_edge *edge)
{
    return &edge->last[edge->levels - 1];
}

/* Node (b, k) of the tree of `edge`, whole or not, becomes the next hash of the proof. */
static enum chy_err proof_add(struct chy_tlog_proof *proof, const struct chy_tlog_nodes *nodes,
                              const struct chy_tlog_edge *edge, unsigned b, uint64_t k,
                              struct chy_error *err)
{
    CHY_ASSERT(proof->n < CHY_LIMIT_PROOF);
    struct chy_tlog_hash *to = &proof->hashes[proof->n];
    if (k == (edge->size - 1) >> b)
        *to = edge->last[b];
    else
        CHY_TRY(nodes->read(nodes->ctx, b, k, to, err));
    proof->n++;
    return CHY_OK;
}

/* From node (b, k) to the root: the sibling of each node on the way that has one. */
static enum chy_err proof_climb(struct chy_tlog_proof *proof, const struct chy_tlog_nodes *nodes,
                                const struct chy_tlog_edge *edge, unsigned b, uint64_t k,
                                struct chy_error *err)
{
    for (uint64_t last = (edge->size - 1) >> b; last > 0; last >>= 1, k >>= 1, b++)
        if ((k ^ 1) <= last)
            CHY_TRY(proof_add(proof, nodes, edge, b, k ^ 1, err));
    return CHY_OK;
}

enum chy_err chy_tlog_prove_inclusion(const struct chy_tlog_nodes *nodes,
                                      const struct chy_tlog_edge *edge, uint64_t index,
                                      struct chy_tlog_proof *ret_proof, struct chy_error *err)
{
    if (index >= edge->size)
        return chy_fail(err, CHY_E_ARG, "the log has no entry %" PRIu64 ", it has %" PRIu64, index,
                        edge->size);
    ret_proof->n = 0;
    return proof_climb(ret_proof, nodes, edge, 0, index, err);
}

enum chy_err chy_tlog_prove_consistency(const struct chy_tlog_nodes *nodes,
                                        const struct chy_tlog_edge *edge, uint64_t old_size,
                                        struct chy_tlog_proof *ret_proof, struct chy_error *err)
{
    if (old_size == 0 || old_size > edge->size)
        return chy_fail(err, CHY_E_ARG, "old size %" PRIu64 " is not within 1 to %" PRIu64,
                        old_size, edge->size);
    ret_proof->n = 0;
    if (old_size == edge->size)
        return CHY_OK;
    /* The biggest whole node that the old tree ends with. When that is all of the old tree, the
     * verifier has it already: it is the old root. */
    unsigned b = 0;
    uint64_t k = old_size - 1;
    for (; k % 2 != 0; k >>= 1)
        b++;
    if (k > 0)
        CHY_TRY(proof_add(ret_proof, nodes, edge, b, k, err));
    return proof_climb(ret_proof, nodes, edge, b, k, err);
}

static enum chy_err proof_is_wrong(struct chy_error *err, const char *kind, const char *why)
{
    return chy_fail(err, CHY_E_INTEGRITY, "%s proof is wrong: %s", kind, why);
}

enum chy_err chy_tlog_check_inclusion(struct chy_hasher *h, uint64_t index, uint64_t size,
                                      const struct chy_tlog_hash *leaf,
                                      const struct chy_tlog_proof *proof,
                                      const struct chy_tlog_hash *root, struct chy_error *err)
{
    if (index >= size || proof->n > CHY_LIMIT_PROOF)
        return proof_is_wrong(err, "inclusion", "there is no such entry");
    uint64_t fn = index;
    uint64_t sn = size - 1;
    struct chy_tlog_hash r = *leaf;
    for (size_t i = 0; i < proof->n; i++) {
        if (sn == 0)
            return proof_is_wrong(err, "inclusion", "it is too long");
        if (fn % 2 != 0 || fn == sn) {
            chy_tlog_node_hash(h, &proof->hashes[i], &r, &r);
            for (; fn % 2 == 0 && fn != 0; fn >>= 1)
                sn >>= 1;
        } else {
            chy_tlog_node_hash(h, &r, &proof->hashes[i], &r);
        }
        fn >>= 1;
        sn >>= 1;
    }
    if (sn != 0)
        return proof_is_wrong(err, "inclusion", "it is too short");
    if (!chy_tlog_hash_equal(&r, root))
        return proof_is_wrong(err, "inclusion", "it leads to another root");
    return CHY_OK;
}

/* The part of chy_tlog_check_consistency() where both trees have entries and the new one more. */
static enum chy_err check_growth(struct chy_hasher *h, uint64_t old_size, uint64_t new_size,
                                 const struct chy_tlog_hash *old_root,
                                 const struct chy_tlog_hash *new_root,
                                 const struct chy_tlog_proof *proof, struct chy_error *err)
{
    uint64_t fn = old_size - 1;
    uint64_t sn = new_size - 1;
    for (; fn % 2 != 0; fn >>= 1)
        sn >>= 1;
    size_t i = 0;
    struct chy_tlog_hash fr = *old_root; /* the old tree is one whole node */
    if (fn != 0) {
        if (proof->n == 0)
            return proof_is_wrong(err, "consistency", "it is empty");
        fr = proof->hashes[i++];
    }
    struct chy_tlog_hash sr = fr;
    for (; i < proof->n; i++) {
        const struct chy_tlog_hash *c = &proof->hashes[i];
        if (sn == 0)
            return proof_is_wrong(err, "consistency", "it is too long");
        if (fn % 2 != 0 || fn == sn) {
            chy_tlog_node_hash(h, c, &fr, &fr);
            chy_tlog_node_hash(h, c, &sr, &sr);
            for (; fn % 2 == 0 && fn != 0; fn >>= 1)
                sn >>= 1;
        } else {
            chy_tlog_node_hash(h, &sr, c, &sr);
        }
        fn >>= 1;
        sn >>= 1;
    }
    if (sn != 0)
        return proof_is_wrong(err, "consistency", "it is too short");
    if (!chy_tlog_hash_equal(&fr, old_root))
        return proof_is_wrong(err, "consistency", "it does not lead to the old root");
    if (!chy_tlog_hash_equal(&sr, new_root))
        return proof_is_wrong(err, "consistency", "it does not lead to the new root");
    return CHY_OK;
}

enum chy_err chy_tlog_check_consistency(struct chy_hasher *h, uint64_t old_size, uint64_t new_size,
                                        const struct chy_tlog_hash *old_root,
                                        const struct chy_tlog_hash *new_root,
                                        const struct chy_tlog_proof *proof, struct chy_error *err)
{
    if (old_size == 0)
        return proof_is_wrong(err, "consistency", "a log without entries proves nothing");
    if (old_size > new_size)
        return proof_is_wrong(err, "consistency", "the new log is shorter than the old one");
    if (proof->n > CHY_LIMIT_PROOF)
        return proof_is_wrong(err, "consistency", "it is too long");
    if (old_size < new_size)
        return check_growth(h, old_size, new_size, old_root, new_root, proof, err);
    if (proof->n != 0)
        return proof_is_wrong(err, "consistency", "nothing was added, so it must be empty");
    if (!chy_tlog_hash_equal(old_root, new_root))
        return proof_is_wrong(err, "consistency", "two logs of one size have different roots");
    return CHY_OK;
}
