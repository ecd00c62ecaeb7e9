/* SPDX-License-Identifier: MIT */
/* The signing operation. */
#pragma once

#include "signer/job.h"

enum chy_err sign_begin(struct job *job, struct chy_error *err);
