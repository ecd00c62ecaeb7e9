/* SPDX-License-Identifier: MIT */
#include "policy/facts.h"

#include "base/compiler.h"
#include "base/limits.h"

/* Not here, and so private: application.path, application.command, application.parent and its
 * hash, user, artifact.name. */
static const char *const public_names[] = {
    CHY_FACT_APPLICATION_SHA256, CHY_FACT_ARTIFACT_TYPE, CHY_FACT_CONTENT_SHA256,
    CHY_FACT_CONTENT_TYPE,       CHY_FACT_HOST,
};

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool chy_fact_name_is_valid(struct chy_str name)
{
    if (name.n == 0 || name.n > CHY_LIMIT_NAME || name.p[0] < 'a' || name.p[0] > 'z')
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (!is_name_char(name.p[i]))
            return false;
    return true;
}

bool chy_fact_is_public(struct chy_str name)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(public_names); i++)
        if (chy_str_equal_c(name, public_names[i]))
            return true;
    return chy_fact_name_is_valid(name) && chy_str_starts(name, CHY_FACT_CI_PREFIX);
}
