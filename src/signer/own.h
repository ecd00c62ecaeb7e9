/* SPDX-License-Identifier: MIT */
/* What the signer does of its own accord: at its first start it makes its own keys in the token
 * (the log's, the client CA's, the development CA's), at every start it writes that it began. */
#pragma once

#include "signer/state.h"

/* Go on with whatever is missing; when nothing is, the signer is bootstrapped. Call when a token
 * has become ready, and again after every step. */
void own_continue(struct signer *s);
/* Write that the server stops, if it ever began. */
void own_stop(struct signer *s);
/* Tell front the client CA, when there is one. */
void own_tell_trust(struct signer *s, struct peer *front);
