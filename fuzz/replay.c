/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target without a fuzzer: over each file of a corpus, and over the empty input. Each
 * is one TAP test; a target that finds something wrong aborts, and so ends the run. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INPUT_MAX = 16 * 1024 * 1024 /* bytes: no corpus has anything near this */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void die(const char *what, const char *name)
{
    printf("Bail out! %s: %s\n", what, name);
    exit(1);
}

static size_t file_size(FILE *file, const char *path)
{
    if (fseek(file, 0, SEEK_END) != 0)
        die("cannot seek", path);
    long size = ftell(file);
    if (size < 0 || size > INPUT_MAX)
        die("cannot be an input", path);
    rewind(file);
    return (size_t)size;
}

/* A block of exactly the file's size, so that a sanitizer sees the first byte read past it. */
static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        die("cannot open", path);
    size_t n = file_size(file, path);
    uint8_t *data = malloc(n);
    if (data == NULL && n != 0)
        die("no memory for", path);
    if (fread(data, 1, n, file) != n)
        die("cannot read", path);
    fclose(file);
    LLVMFuzzerTestOneInput(data, n);
    free(data);
}

int main(int count, char **arguments)
{
    if (count != 2)
        die("usage", "replay CORPUS");
    const char *corpus = arguments[1];
    struct dirent **entries = NULL;
    int n = scandir(corpus, &entries, is_visible, alphasort);
    if (n <= 0)
        die("no corpus in", corpus);

    setvbuf(stdout, NULL, _IOLBF, 0); /* what was said before an abort must not be lost */
    printf("1..%d\n", n + 1);
    LLVMFuzzerTestOneInput(NULL, 0);
    printf("ok 1 - (empty)\n");
    for (int i = 0; i < n; i++) {
        char path[4096];
        int length = snprintf(path, sizeof path, "%s/%s", corpus, entries[i]->d_name);
        if (length < 0 || (size_t)length >= sizeof path)
            die("path too long", entries[i]->d_name);
        replay_file(path);
        printf("ok %d - %s\n", i + 2, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return 0;
}
