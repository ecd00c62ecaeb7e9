# SPDX-License-Identifier: MIT
"""What tests of git share, whatever kind of signature it makes."""

from signer import run

AUTHOR = "release@example.org"


class Repository:
    """A repository whose commits and tags are signed by one of our keys."""

    def __init__(self, keys, folder, config, bare=False):
        self.keys = keys
        self.folder = folder / "project"
        self.env = {"GIT_CONFIG_NOSYSTEM": "1"}  # of git, always
        run("git", "init", "-q", *(["--bare"] if bare else []), self.folder)
        for name, value in {"user.name": "Release", "user.email": AUTHOR, **config}.items():
            self.git("config", name, value)

    def git(self, *words, env=None, **options):
        return run("git", "-C", self.folder, *words,
                   env=self.keys.env(**{**self.env, **(env or {})}), **options)

    def sign(self, *words, check=True, options=()):
        """git by chancery exec."""
        return self.keys.exec("git", "-C", self.folder, *words, check=check, options=options,
                              env=self.env)

    def commit_in_bare(self, env=None):
        """A signed commit without a working tree, and a signed tag on it."""
        tree = self.git("mktree", input="").stdout.strip()
        commit = self.git("commit-tree", "-S", "-m", "signed", tree, env=env).stdout.strip()
        self.git("update-ref", "HEAD", commit)
        self.git("tag", "-s", "-m", "signed", "v1", env=env)
        return commit

    def broken(self, name, kind):
        """The same object with one letter of its text changed."""
        text = self.git("cat-file", kind, name).stdout
        place = text.rindex("signed\n")
        path = self.folder / "broken"
        path.write_text(text[:place] + "S" + text[place + 1:])
        return self.git("hash-object", "-t", kind, "-w", path).stdout.strip()
