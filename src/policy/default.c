/* SPDX-License-Identifier: MIT */
#include "policy/default.h"

/* What follows "#  " is a policy of its own; a test takes the marks away and evaluates it. */
struct chy_str chy_policy_default(void)
{
    return CHY_STR(
        "# Who may sign what, with which key, from where and when. docs/policy.md explains it.\n"
        "#\n"
        "# Nothing is allowed unless a rule allows it, and this policy has no rules. To let the\n"
        "# principal ci-build sign with the keys whose purpose is \"test\", and to keep everybody\n"
        "# from release keys without a word of why, take the marks away below \"version\" and\n"
        "# remove \"rules: []\"; then:\n"
        "#\n"
        "#     chancery policies test policy.yaml …    what would it answer?\n"
        "#     chancery policies apply policy.yaml\n"
        "\n"
        "version: 1\n"
        "rules: []\n"
        "\n"
        "#  rules:\n"
        "#    - name: ci-signs-tests\n"
        "#      effect: allow\n"
        "#      match:\n"
        "#        purpose: test\n"
        "#        principal: ci-build\n"
        "#\n"
        "#    - name: release-needs-a-reason\n"
        "#      effect: require\n"
        "#      requirement: reason\n"
        "#      match:\n"
        "#        purpose: release\n");
}
