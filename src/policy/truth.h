/* SPDX-License-Identifier: MIT */
/* Kleene's three truth values, in an order that makes "and" the smaller and "or" the larger of
 * two. */
#pragma once

enum chy_truth {
    CHY_TRUTH_NO = 0,
    CHY_TRUTH_UNKNOWN = 1,
    CHY_TRUTH_YES = 2,
};
