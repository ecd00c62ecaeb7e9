/* SPDX-License-Identifier: MIT */
/* The options of chancery-gpg, which are gpg's as far as signing needs them. */
#pragma once

#include "client/gnupg_options.h"

extern const struct chy_gnupg_table chy_gpg_table;
