"""A headless Chromium, spoken to through its DevTools protocol over two pipes: nothing but the standard library is needed."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# no network of the browser's own: updates, lists, experiments
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--no-first-run",
           "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
           "--force-color-profile=srgb")  # fmt: skip


def found():
    """The path of a Chromium, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page of a browser, as a context. ``events``: what it told, in order."""

    def __init__(self, seconds=60):
        self.seconds, self.events, self.number, self.rest = seconds, [], 0, b""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="fastloss-browser-")
        theirs, self.output = os.pipe()
        self.input, other = os.pipe()
        # the protocol's file descriptors are 3 and 4, and dash knows none of two digits. theirs < other, so the first is safe to be moved
        move = f"import os, sys; os.dup2({theirs}, 3); os.dup2({other}, 4); os.execv(sys.argv[1], sys.argv[1:])"
        words = [sys.executable, "-ESc", move, found(), *OPTIONS, f"--user-data-dir={self.folder}", "about:blank"]
        try:
            self.process = subprocess.Popen(
                words, pass_fds=(theirs, other), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        finally:
            os.close(theirs)
            os.close(other)
        self.session = None
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Runtime", "Log"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for pipe in (self.output, self.input):
            with contextlib.suppress(OSError):
                os.close(pipe)  # at which the browser ends
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method, **parameters):
        """Ask, and wait for the answer."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.output, data) :]
        while True:
            answer = self._message(method)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _message(self, wanted):
        deadline = time.monotonic() + self.seconds
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.input], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self.input, 1 << 16) if ready else b""
            if not data:
                raise RuntimeError(f"the browser did not answer {wanted}")
            self.rest += data
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def show(self, url, width, height=800, dark=False, media="", scale=1):
        """Load a page at a width, in light or dark; ``events`` are then those of this page."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 600)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message("the load of a page"))

    def value(self, expression):
        """What an expression of JavaScript comes to. It runs as a debugger's, so the page's policy does not forbid it."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def picture(self, path=None, clip=None):
        """A PNG of what is to be seen, or of ``clip`` (x, y, width, height) of the page."""
        area = {"captureBeyondViewport": True, "clip": dict(zip(("x", "y", "width", "height"), clip, strict=True), scale=1)} if clip else {}
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png", **area)["data"])
        if path is not None:
            with open(path, "wb") as file:
                file.write(data)
        return data
