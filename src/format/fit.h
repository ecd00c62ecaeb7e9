/* SPDX-License-Identifier: MIT */
/* What of a U-Boot image tree fit_check_sign has to be asked, and what a tree of keys makes it ask.
 * Pure over the source. */
#pragma once

#include "base/limits.h"
#include "format/format.h"

struct chy_format_fit {
    struct {
        char text[CHY_LIMIT_FIT_NAME + 1]; /* printable, without a slash */
    } configurations[CHY_LIMIT_FIT_CONFIGURATIONS];
    size_t n_configurations;
    /* A configuration has more than a kernel, one device tree and a RAM disk, which are all that
     * fit_check_sign looks at. */
    bool has_more;
    /* A tree of keys: one of them must have signed the configuration. A key that is not required
     * is looked at by nobody. */
    bool requires_signature;
};

/* Of an image or of a tree of keys: both are flattened device trees.
 * Errors: CHY_E_MALFORMED  no such tree, or a configuration of a strange name
 *         CHY_E_LIMIT      more than CHY_LIMIT_FIT_CONFIGURATIONS, a name above CHY_LIMIT_FIT_NAME,
 *                          CHY_LIMIT_FORMAT_READ
 *         of the source's `read`
 * Source: U-Boot 2023.01, boot/image-fit-sig.c, fit_config_verify_required_keys(), and
 * boot/bootm.c, bootm_host_load_images() */
CHY_MUST_USE enum chy_err chy_format_fit_read(const struct chy_format_source *source,
                                              struct chy_format_fit *ret_fit,
                                              struct chy_error *err);
