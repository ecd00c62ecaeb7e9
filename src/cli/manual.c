/* SPDX-License-Identifier: MIT */
/* The manual pages, in mdoc, from the table of commands and the schema of the configuration
 * file. */
#include "cli/cli.h"

/* Text that the formatter must take as text: no request at the start of a line, no escapes. */
static void put(FILE *out, const char *text)
{
    bool is_sentence_over = false;
    if (text[0] == '.' || text[0] == '\'')
        (void)fputs("\\&", out);
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            (void)fputs("\\e", out);
        else if (*text == '-')
            (void)fputs("\\-", out);
        else if (*text == ' ' && is_sentence_over)
            (void)fputc('\n', out); /* a sentence, a line */
        else
            (void)fputc(*text, out);
        is_sentence_over = *text == '.';
    }
}

/* A word of a macro's line: one that the formatter would take for a macro or a delimiter is
 * shielded. */
static void put_word(FILE *out, const char *word)
{
    (void)fputs(" \"", out);
    put(out, word);
    (void)fputc('"', out);
}

static void print_values(FILE *out, const struct chy_enum *values)
{
    (void)fputs(".br\nOne of", out);
    bool is_first = true;
    for (size_t i = 0; i < values->n; i++) {
        if (values->values[i].value == 0)
            continue;
        (void)fputs(is_first ? " " : ", ", out);
        put(out, values->values[i].name);
        is_first = false;
    }
    (void)fputs(".\n", out);
}

static void print_option(FILE *out, const struct chy_cli_command *c, const struct chy_cli_option *o)
{
    if ((o->flags & CHY_CLI_POSITIONAL) != 0) {
        (void)fputs(".It Ar", out);
        put_word(out, o->name);
    } else {
        (void)fputs(".It Fl Fl", out);
        put_word(out, o->name);
        if (o->arg != NULL) {
            (void)fputs(" Ar", out);
            put_word(out, o->arg);
        }
    }
    (void)fputc('\n', out);
    put(out, chy_cli_option_help(c, o));
    if ((o->flags & CHY_CLI_REPEATED) != 0)
        (void)fputs("; may be given more than once", out);
    (void)fputs(".\n", out);
    const struct chy_enum *values = chy_cli_option_values(c, o);
    if (values != NULL)
        print_values(out, values);
}

static void print_command(FILE *out, const struct chy_cli_command *c)
{
    (void)fprintf(out, ".It Nm Cm %s%s%s\n", c->noun, c->verb != NULL ? " " : "",
                  c->verb != NULL ? c->verb : "");
    put(out, c->summary);
    (void)fputs(".\n", out);
    if (c->details != NULL) {
        put(out, c->details);
        (void)fputc('\n', out);
    }
    if (c->n_options == 0)
        return;
    (void)fputs(".Bl -tag -width 4n\n", out);
    for (size_t i = 0; i < c->n_options; i++)
        print_option(out, c, &c->options[i]);
    (void)fputs(".El\n", out);
}

static const char man_head[] =
    ".\\\" SPDX-License-Identifier: MIT\n"
    ".Dd November 21, 2026\n"
    ".Dt CHANCERY 1\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm chancery\n"
    ".Nd sign software under policy\n"
    ".Sh SYNOPSIS\n"
    ".Nm\n"
    ".Ar command\n"
    ".Op Ar option ...\n"
    ".Sh DESCRIPTION\n"
    ".Nm\n"
    "asks a Chancery server to sign, and administers it.\n"
    "The private keys stay in the server's tokens; a policy decides every signature;\n"
    "every decision stands in the server's log, which\n"
    ".Nm\n"
    "verifies offline.\n"
    ".Pp\n"
    "These options are of every command:\n"
    ".Bl -tag -width 4n\n";

static const char man_environment[] =
    ".Sh ENVIRONMENT\n"
    "What is set but empty counts as not set.\n"
    "The command line goes before the environment, the environment before the configuration file.\n"
    ".Bl -tag -width 4n\n"
    ".It Ev CHANCERY_PROFILE\n"
    "The profile of the configuration.\n"
    ".It Ev CHANCERY_URL\n"
    "The server, as https://host[:port].\n"
    "A profile's pin, CA and certificate go to the profile's own server only.\n"
    ".It Ev CHANCERY_CA\n"
    "A file with the CA certificates that the server's must come from.\n"
    ".It Ev CHANCERY_CERT , CHANCERY_KEY\n"
    "Files with a client certificate and its private key, PEM.\n"
    ".It Ev CHANCERY_TOKEN_FILE\n"
    "A file, readable by nobody else, with an API token; used instead of a certificate.\n"
    ".It Ev CHANCERY_TOKEN\n"
    "The API token itself, for build jobs that have no better place.\n"
    ".It Ev CHANCERY_REASON\n"
    "The reason to sign, when\n"
    ".Fl Fl reason\n"
    "is not given.\n"
    ".It Ev CHANCERY_AGENT_SOCK\n"
    "The socket of the agent that is to be asked; none: no agent.\n"
    ".It Ev CHANCERY_KEYS\n"
    "Names or patterns of the keys that the PKCS#11 module shows to a tool; when it is not set,\n"
    "all that may be used but Ed25519 keys.\n"
    ".It Ev CHANCERY_NAMING\n"
    "How that module names them: plain, by the keys' names, or signum, by the SHA-1 of their\n"
    "certificates.\n"
    ".It Ev CHANCERY_MODULE\n"
    "The PKCS#11 module that\n"
    ".Nm Cm exec\n"
    "gives to tools, when it is not at its usual place.\n"
    ".It Ev CHANCERY_PROVIDER\n"
    "The same for our provider of OpenSSL.\n"
    ".It Ev CHANCERY_RECEIPTS\n"
    "A folder where a receipt of every signature is written.\n"
    ".It Ev CHANCERY_TIMESTAMP_URL\n"
    "The time-stamp authority that\n"
    ".Nm Cm sign\n"
    "has its tools ask; goes before the profile's.\n"
    ".It Ev CHANCERY_AGENT_SOCK\n"
    "The socket of the agent to ask, and of no other; none: ask the server directly.\n"
    "Otherwise an agent of this user is asked where one listens, unless a profile, a server or a\n"
    "credential is named.\n"
    ".It Ev CHANCERY_EXEC_TAG\n"
    "Set by a tool's starter to learn from the agent what became of its signatures.\n"
    ".It Ev XDG_RUNTIME_DIR\n"
    "Where chancery/agent.sock, the agent's socket, is; not set: beside the configuration.\n"
    ".It Ev HTTPS_PROXY\n"
    "A proxy to reach the server through.\n"
    ".El\n";

static const char man_tail[] = ".Sh FILES\n"
                               ".Bl -tag -width 4n\n"
                               ".It Pa ~/.config/chancery/config.yaml\n"
                               "The configuration; see\n"
                               ".Xr chancery-config 5 .\n"
                               ".It Pa ~/.config/chancery/PROFILE.pem\n"
                               "Private key and certificate of a profile, mode 0600, made by\n"
                               ".Nm Cm enroll\n"
                               "and renewed whenever\n"
                               ".Nm\n"
                               "runs with less than a third of the certificate's life left.\n"
                               ".El\n"
                               ".Sh EXIT STATUS\n"
                               ".Bl -tag -width 4n\n"
                               ".It 0\n"
                               "Done.\n"
                               ".It 1\n"
                               "Refused, or not verified.\n"
                               ".It 2\n"
                               "Wrong use.\n"
                               ".It 3\n"
                               "Trouble: the server, the network or a file.\n"
                               ".El\n"
                               ".Sh SEE ALSO\n"
                               ".Xr chancery-config 5\n";

void chy_cli_print_man(FILE *out)
{
    (void)fputs(man_head, out);
    for (size_t i = 0; i < chy_cli_globals_n; i++)
        print_option(out, &chy_cli_commands[0], &chy_cli_globals[i]);
    (void)fputs(".El\n.Sh COMMANDS\n.Bl -tag -width 4n\n", out);
    for (size_t i = 0; i < chy_cli_commands_n; i++)
        print_command(out, &chy_cli_commands[i]);
    (void)fputs(".El\n", out);
    (void)fputs(man_environment, out);
    (void)fputs(man_tail, out);
}

static const char config_head[] = ".\\\" SPDX-License-Identifier: MIT\n"
                                  ".Dd November 21, 2026\n"
                                  ".Dt CHANCERY-CONFIG 5\n"
                                  ".Os\n"
                                  ".Sh NAME\n"
                                  ".Nm config.yaml\n"
                                  ".Nd configuration of chancery(1)\n"
                                  ".Sh DESCRIPTION\n"
                                  "A YAML document without anchors, aliases and tags.\n"
                                  "An unknown or wrong setting is an error that names its line.\n"
                                  ".Xr chancery 1\n"
                                  "enroll writes it; comments are then lost.\n";

static const char config_example[] = ".Sh FILES\n"
                                     ".Pa ~/.config/chancery/config.yaml ,\n"
                                     "or below\n"
                                     ".Ev XDG_CONFIG_HOME\n"
                                     "where that is set.\n"
                                     ".Sh EXAMPLES\n"
                                     ".Bd -literal -offset indent\n"
                                     "profile: default\n"
                                     "profiles:\n"
                                     "  \\- name: default\n"
                                     "    url: https://sign.example.org:8443\n"
                                     "    ca: /etc/ssl/certs/example\\-ca.pem\n"
                                     ".Ed\n"
                                     ".Sh SEE ALSO\n"
                                     ".Xr chancery 1\n";

static void print_fields(FILE *out, const struct chy_schema *schema)
{
    (void)fputs(".Bl -tag -width 4n\n", out);
    for (size_t i = 0; i < schema->n; i++) {
        (void)fprintf(out, ".It Ic %s\n", schema->fields[i].name);
        put(out, schema->fields[i].doc);
        (void)fputs((schema->fields[i].flags & CHY_REQUIRED) != 0 ? "; must be given.\n" : ".\n",
                    out);
    }
    (void)fputs(".El\n", out);
}

void chy_cli_print_config_man(FILE *out)
{
    (void)fputs(config_head, out);
    print_fields(out, &chy_client_config_schema);
    (void)fputs(".Pp\nEach profile has:\n", out);
    print_fields(out, &chy_profile_schema);
    (void)fputs(config_example, out);
}
