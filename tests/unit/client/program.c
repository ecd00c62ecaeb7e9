/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS_MAX 16

char *out_text;
char *err_text;

static FILE *stream_new(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "w+") : NULL;
    assert_non_null(file);
    return file;
}

static char *stream_end(FILE *file)
{
    assert_int_equal(fflush(file), 0);
    off_t n = lseek(fileno(file), 0, SEEK_END);
    char *text = calloc(1, (size_t)n + 1);
    assert_non_null(text);
    assert_int_equal(pread(fileno(file), text, (size_t)n, 0), n);
    (void)fclose(file);
    return text;
}

void program_done(void)
{
    free(out_text);
    free(err_text);
    out_text = err_text = NULL;
}

int program_run(program_fn *program, const char *home, const char *input, const char *const *words)
{
    char *argv[WORDS_MAX] = { strdup("program") };
    int argc = 1;
    const struct chy_client_env env = { .home = home };
    FILE *in = stream_new("in");
    const struct program_streams streams = { fileno(in), stream_new("out"), stream_new("err") };
    for (; words[argc - 1] != NULL; argc++) {
        assert_true(argc + 1 < WORDS_MAX);
        argv[argc] = strdup(words[argc - 1]);
    }
    assert_int_equal(write(streams.in, input, strlen(input)), strlen(input));
    assert_int_equal(lseek(streams.in, 0, SEEK_SET), 0);
    int code = program(argc, argv, &env, &streams);
    program_done();
    out_text = stream_end(streams.out);
    err_text = stream_end(streams.err);
    (void)fclose(in);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return code;
}
