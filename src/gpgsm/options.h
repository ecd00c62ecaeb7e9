/* SPDX-License-Identifier: MIT */
/* The options of chancery-gpgsm, which are gpgsm's as far as git needs them. */
#pragma once

#include "client/gnupg_options.h"

extern const struct chy_gnupg_table chy_gpgsm_table;
