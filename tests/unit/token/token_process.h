/* SPDX-License-Identifier: MIT */
/* A token process under a supervisor and a signer that are the test. */
#pragma once

#include "os/channel.h"
#include "os/process.h"
#include "token/token.h"
#include "token_fixture.h"

struct token_process {
    struct chy_process process;
    struct chy_channel *supervisor;
    struct chy_channel *signer;
    uint64_t last_id;
    struct chy_arena arena; /* what was answered */
};

/* What a configuration of the fixture's token says; change it before token_start(). */
struct chy_token_config token_config(const struct fixture *f, const char *module);
/* Start the process and send it its configuration. */
void token_begin(struct token_process *p, const struct chy_token_config *config);
void token_send_pin(struct token_process *p, const char *path);
/* Give it a signer, which takes the place of the last one. */
void token_send_peer(struct token_process *p);
/* All of it, up to TOKEN_INFO and READY; the texts of READY and of the information are in the
 * arena. */
struct chy_str token_start(struct token_process *p, const struct fixture *f,
                           const struct chy_token_config *config, struct chy_token_info *ret_info);
void token_drain(struct token_process *p);
/* Wait for the end; frees the rest. */
struct chy_process_end token_end(struct token_process *p);

void token_ask(struct token_process *p, enum chy_msg type, const struct chy_schema *schema,
               const void *request);
/* The answer to the last question; false when the process closed the connection. */
bool token_answer(struct token_process *p, enum chy_msg type, const struct chy_schema *schema,
                  void *ret_answer);
struct chy_token_sign_reply token_sign(struct token_process *p,
                                       const struct chy_token_sign_item *items, size_t n);
