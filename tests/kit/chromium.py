"""A headless Chromium that opens one page at a time, driven by its DevTools protocol."""

import base64
import itertools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.subprocess import DEVNULL, Popen
from websocket import create_connection

from .closing import Closing
from .daemons import START_S
from .k8s import wait_until

PROGRAM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-port=0",
)


class Unanswered(Exception):
    """The browser does not do what it was asked, and why."""


class Chromium(Closing):
    """Shows a page; notes what it asks for and complains of; a context manager."""

    def __init__(self) -> None:
        # its processes write on for a moment after it has ended
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        home = Path(self._home.name)
        command = [str(PROGRAM), *_FLAGS, f"--user-data-dir={home}", "about:blank"]
        self._process = Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
        place = home / "DevToolsActivePort"
        wait_until(lambda: place.exists() and place.read_text().count("\n") >= 1, START_S)
        port, path = place.read_text().split("\n")[:2]
        self._socket = create_connection(
            f"ws://127.0.0.1:{port}{path}", timeout=START_S, suppress_origin=True
        )
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.asked: list[str] = []
        """The URLs of all requests."""
        self.complaints: list[str] = []
        """What the console shows, and what no code has caught."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Call *method*, noting the events before its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == number:
                if "error" in answer:
                    raise Unanswered(answer["error"]["message"])
                return answer["result"]
            self._note(answer.get("method"), answer.get("params"))

    def open(self, url: str, width: int = 1280, height: int = 900, *, dark: bool = False) -> None:
        """Open *url* in a window of that size."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.resize(width, height)
        self.call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """Return what the JavaScript expression *script* comes to."""
        result = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, script: str) -> None:
        """Wait until the JavaScript expression *script* is true."""

        def is_true() -> bool:
            try:
                return self.run(script) is True
            except Unanswered:  # the page has just been left for another
                return False

        wait_until(is_true, START_S)

    def text(self) -> str:
        """Return all that the page shows."""
        shown: str = self.run("document.body.innerText")
        return shown

    def press(self, key: str) -> None:
        """Press and release *key*, `Tab`, say."""
        more = {"text": "\r"} if key == "Enter" else {}
        code = {"Tab": 9, "Enter": 13}[key]
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **(more if kind == "keyDown" else {}),
            )

    def picture(self, file: Path) -> None:
        """Write the whole page to *file*, a PNG, in a window as high as it is."""
        width, height = self.run(
            "[innerWidth, Math.max(innerHeight, document.documentElement.scrollHeight)]"
        )
        self.resize(width, height)
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def resize(self, width: int, height: int) -> None:
        """Give the window that size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def close(self) -> None:
        """End the browser."""
        self._socket.close()
        self._process.terminate()
        with gevent.Timeout(START_S):
            self._process.wait()
        self._home.cleanup()

    def _note(self, method: str | None, given: dict[str, Any]) -> None:
        match method:
            case "Network.requestWillBeSent":
                self.asked.append(given["request"]["url"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(given))
            case "Log.entryAdded":
                self.complaints.append(given["entry"]["text"])
