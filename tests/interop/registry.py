# SPDX-License-Identifier: MIT
"""A registry of container images on loopback, and images in it, without a Docker engine."""

import hashlib
import pathlib
import re
import signal
import subprocess
import time

from signer import SOON, artifact, environment, run

CONFIG = """\
version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "127.0.0.1:0", secret: "of no use to one registry alone"}}
"""


class Registry:
    """docker-registry while it runs."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.images = 0
        (self.folder / "config.yml").write_text(CONFIG.format(folder=self.folder),
                                                encoding="utf-8")

    def __enter__(self):
        log = self.folder / "log"
        with log.open("wb") as out:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [artifact("docker-registry"), "serve", self.folder / "config.yml"], stdout=out,
                stderr=out, env=environment())
        deadline = time.monotonic() + SOON
        while not (found := re.search(r"listening on (127\.0\.0\.1:\d+)", log.read_text())):
            assert self.process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)  # between looks at its log
        self.address = found[1]
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=SOON)

    def push(self, name, content):
        """An image of one file under NAME:1; NAME by its digest."""
        self.images += 1
        layout = self.folder / f"image-{self.images}"
        file = self.folder / f"file-{self.images}"
        file.write_bytes(content)
        run("umoci", "init", "--layout", layout)
        run("umoci", "new", "--image", f"{layout}:latest")
        run("umoci", "insert", "--rootless", "--image", f"{layout}:latest", file, "/app")
        tag = f"{self.address}/{name}:1"
        run("skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false",
            f"oci:{layout}:latest", f"docker://{tag}")
        manifest = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{tag}")
        digest = hashlib.sha256(manifest.stdout.encode()).hexdigest()
        return f"{self.address}/{name}@sha256:{digest}"
