/* SPDX-License-Identifier: MIT */
/* The compiler extensions that this tree allows itself, each behind one name. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CHY_MUST_USE    __attribute__((warn_unused_result))
#define CHY_NORETURN    __attribute__((noreturn))
#define CHY_NONNULL     __attribute__((nonnull))
#define CHY_UNUSED      __attribute__((unused))
#define CHY_PUBLIC      __attribute__((visibility("default")))
#define CHY_FALLTHROUGH __attribute__((fallthrough))

/* mingw's plain `printf` archetype means Microsoft's, which knows no %zu. */
#if defined(__MINGW32__)
#    define CHY_PRINTF(fmt, first) __attribute__((format(gnu_printf, fmt, first)))
#else
#    define CHY_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#endif

/* gcc's analyzer learns from this which function gives the memory back; clang 14 has no such
 * form. */
#if defined(__GNUC__) && !defined(__clang__)
#    define CHY_MALLOC(dealloc) __attribute__((malloc, malloc(dealloc, 1)))
#else
#    define CHY_MALLOC(dealloc) __attribute__((malloc))
#endif

/* The scope owns the variable: `f(&var)` runs when it is left. clang warns of a variable that is
 * only cleaned up, hence `unused`. */
#define CHY_CLEANUP(f) __attribute__((cleanup(f), unused))

/* Hand a pointer (or a descriptor's owner) on and forget it here. */
#define CHY_TAKE(p)                    \
    __extension__({                    \
        __typeof__(p) take_tmp_ = (p); \
        (p) = NULL;                    \
        take_tmp_;                     \
    })

/* Ignore a result on purpose; write the reason beside it. A (void) cast does not silence gcc 12. */
#define CHY_IGNORE(expr)                                  \
    do {                                                  \
        CHY_UNUSED __typeof__(expr) ignore_tmp_ = (expr); \
    } while (0)

#define CHY_MIN(a, b)                      \
    __extension__({                        \
        __typeof__(a) min_a_ = (a);        \
        __typeof__(b) min_b_ = (b);        \
        min_a_ < min_b_ ? min_a_ : min_b_; \
    })
#define CHY_MAX(a, b)                      \
    __extension__({                        \
        __typeof__(a) max_a_ = (a);        \
        __typeof__(b) max_b_ = (b);        \
        max_a_ > max_b_ ? max_a_ : max_b_; \
    })

/* For an interface that lacks a const which it keeps. No cast of pointers may take one away. */
#define CHY_UNCONST(T, p) ((T *)(uintptr_t)(p)) /* NOLINT(performance-no-int-to-ptr) */

#define CHY_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define CHY_CONTAINER_OF(ptr, type, member)                             \
    __extension__({                                                     \
        __typeof__(((type){ 0 }).member) *member_tmp_ = (ptr);          \
        (type *)(void *)((char *)member_tmp_ - offsetof(type, member)); \
    })

#define CHY_STRINGIFY_(x) #x
#define CHY_STRINGIFY(x)  CHY_STRINGIFY_(x)
