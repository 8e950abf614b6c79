"""A real browser, told what to do through its own pipe: Chrome's DevTools protocol without any library."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next(filter(None, map(shutil.which, PROGRAMS)), None)

# Chrome hears on file 3 and tells on file 4; the ends may be numbered so themselves, so by way of others.
LAUNCH = """
import os, sys
for end, there in zip(sys.argv[1:3], (103, 104)): os.dup2(int(end), there)
for there, here in ((103, 3), (104, 4)): os.dup2(there, here)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Page:
    """A page of the browser, and every event that came from it."""

    def __init__(self, told: Any, heard: Any) -> None:
        self._told, self._heard, self._unread, self._number = told, heard, b"", 0
        self._session: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        target = self("Target.createTarget", url="about:blank")["targetId"]
        session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._session = {"sessionId": session}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._session}
        self._told.write(json.dumps(message).encode() + b"\0")
        self._told.flush()
        while (answer := self._receive()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(
        self, path: Path, *, width: int, height: int, scheme: str = "light", phone: bool = False
    ) -> None:
        """Show a file and wait until it has been loaded."""
        self(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self("Page.navigate", url=path.as_uri())
        while not self.named("Page.loadEventFired"):
            self.events.append(self._receive())

    def run(self, script: str) -> Any:
        """What a script in the page gives, awaited if it is a promise; it may play sound, as a click may."""
        told = self(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def named(self, *methods: str) -> list[dict[str, Any]]:
        """The events of these kinds since the page was opened."""
        return [event["params"] for event in self.events if event.get("method") in methods]

    def screenshot(self, path: Path, **clip: float) -> None:
        more = {"clip": {"scale": 1, **clip}, "captureBeyondViewport": True} if clip else {}
        path.write_bytes(base64.b64decode(self("Page.captureScreenshot", **more)["data"]))

    def pdf(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self("Page.printToPDF", printBackground=False)["data"]))

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            piece = os.read(self._heard.fileno(), 1 << 20)
            assert piece, "the browser has gone"
            self._unread += piece
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """Start the browser without a window; it ends with the block."""
    assert PROGRAM is not None
    hears, told = os.pipe()
    heard, tells = os.pipe()

    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--mute-audio",
        "--hide-scrollbars",
        "--remote-debugging-pipe",
    )
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            LAUNCH,
            str(hears),
            str(tells),
            PROGRAM,
            *options,
            f"--user-data-dir={profile}",
        ],
        pass_fds=(hears, tells),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(hears)
    os.close(tells)
    try:
        with os.fdopen(told, "wb") as to, os.fdopen(heard, "rb") as back:
            yield Page(to, back)
    finally:
        process.terminate()
        process.wait(timeout=20)
