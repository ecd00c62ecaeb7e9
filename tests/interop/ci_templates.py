# SPDX-License-Identifier: MIT
"""The templates of examples/ci as what a CI system would run: for each job its steps in their
order, each with its command and the variables of ours that the system would give it.

    TEMPLATES["gitlab-ci.yml"]()  ->  {"sign": [Step("chancery doctor", {...}), ...], ...}

The API token stands as TOKEN wherever a system would put the secret.
"""

import collections
import re

import yaml

from signer import SOURCE

FOLDER = SOURCE / "examples/ci"
TOKEN = "the secret CHANCERY_TOKEN"
Step = collections.namedtuple("Step", "command env")


def _text(name):
    return (FOLDER / name).read_text(encoding="utf-8")


def _load(name):
    return yaml.safe_load(_text(name))


def _env(given, secret):
    """Variables, where `secret` is how the system writes its secret."""
    return {name: TOKEN if value == secret else value for name, value in given.items()}


def github():
    return {name: [Step(step["run"], _env({**job.get("env", {}), **step.get("env", {})},
                                          "${{ secrets.CHANCERY_TOKEN }}"))
                   for step in job["steps"] if "run" in step]
            for name, job in _load("github-actions.yml")["jobs"].items()}


def gitlab():
    """A variable whose scope is an environment is in the jobs of that environment alone."""
    document = _load("gitlab-ci.yml")
    jobs = {}
    for name in document["stages"]:
        job = document[name]
        assert job["stage"] == name
        secret = {"CHANCERY_TOKEN": TOKEN} if job.get("environment") == "release" else {}
        jobs[name] = [Step(line, {**job.get("variables", {}), **secret}) for line in job["script"]]
    return jobs


def azure():
    jobs = {}
    for stage in _load("azure-pipelines.yml")["stages"]:
        given = {v["name"]: v["value"] for v in stage.get("variables", []) if "name" in v}
        job, = stage["jobs"]
        assert job["job"] == stage["stage"]
        jobs[job["job"]] = [Step(step["bash"], _env({**given, **step.get("env", {})},
                                                    "$(CHANCERY_TOKEN)"))
                            for step in job["steps"] if "bash" in step]
    return jobs


def jenkins():
    """No reader of Groovy: the template has one stage behind the other and one command a line."""
    _, *parts = re.split(r"^        stage\('(\w+)'\) \{$", _text("Jenkinsfile"), flags=re.M)
    jobs = {}
    for name, body in zip(parts[::2], parts[1::2]):
        given = dict(re.findall(r"^\s+(CHANCERY_\w+) = ['\"](.*)['\"]$", body, re.M))
        secret = "".join(re.findall(
            r"^( +)withCredentials\(\[string\(credentialsId: 'chancery-token', "
            r"variable: 'CHANCERY_TOKEN'\)\]\) \{$(.*?)^\1\}$", body, re.M | re.S)[0][1:]
            if "withCredentials" in body else [])
        jobs[name] = [Step(command, {**given, "CHANCERY_TOKEN": TOKEN}
                           if f"sh '{command}'" in secret else given)
                      for command in re.findall(r"^\s+sh '(.*)'$", body, re.M)]
        assert len(jobs[name]) == len(re.findall(r"\bsh\b", body)), body
    return jobs


TEMPLATES = {"github-actions.yml": github, "gitlab-ci.yml": gitlab,
             "azure-pipelines.yml": azure, "Jenkinsfile": jenkins}
