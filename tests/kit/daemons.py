"""Real servers from the distribution, each a process of the test's own: named and nginx."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import gevent

from .namespace import with_files
from .wire import dial

START_S = 60.0
"""A process that does not serve after this never will."""


class Daemon:
    """A process with its output in *log*; a context manager that ends it."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environ: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environ,
                pass_fds=pass_fds,
            )

    def wait_port(self, port: int, host: str = "127.0.0.1") -> None:
        """Wait until something accepts at *host*:*port*; raises with the log if nothing does."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                dial((host, port), timeout_s=1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"nothing at {host}:{port}\n{self.output()}") from None
                gevent.sleep(0.02)
            else:
                return

    def output(self) -> str:
        """Return what the process has printed so far."""
        return self.log.read_text(errors="replace")

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Send *by*, wait for the end, and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        try:
            return self.process.wait(START_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(START_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()


def find(program: str) -> str | None:
    """Return where *program* is, the system's own directories included."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class Named(Daemon):
    """bind9 on 127.0.0.1, which knows the names it is given and denies all others."""

    def __init__(self, directory: Path, ttl: int, port: int = 53) -> None:
        self._zone, self._ttl, self._serial = directory / "root.zone", ttl, 0
        self._write({})
        config = directory / "named.conf"
        config.write_text(
            f'options {{ directory "{directory}"; recursion no;\n'
            f"  listen-on port {port} {{ 127.0.0.1; }};\n"
            f"  listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; }};\n"
            f'controls {{ }};\nzone "." {{ type primary; file "{self._zone}"; }};\n'
        )
        super().__init__(
            [find("named") or "named", "-g", "-n", "1", "-c", str(config)],
            directory / "named.log",
        )
        self.wait_port(port)

    def know(self, names: Mapping[str, str], *records: str) -> None:
        """Let these names have these addresses, and wait until it is so.

        *records* are further lines of the zone; nothing else exists.
        """
        self._write(names, *records)
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + START_S
        while f"loaded serial {self._serial}" not in self.output():
            assert time.monotonic() < deadline, self.output()
            gevent.sleep(0.02)

    def _write(self, names: Mapping[str, str], *records: str) -> None:
        self._serial += 1
        lines = [
            f"$TTL {self._ttl}",
            f"@ SOA ns.test. root.test. {self._serial} 60 60 60 1",
            "@ NS ns.test.",
            "ns.test. A 127.0.0.1",
            *(f"{name}. A {address}" for name, address in names.items()),
            *records,
        ]
        self._zone.write_text("\n".join(lines) + "\n")


class Nginx(Daemon):
    """nginx in the foreground, with *servers* as the body of its http block."""

    def __init__(self, directory: Path, servers: str) -> None:
        config = directory / "nginx.conf"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "\n".join(f"  {kind}_temp_path {directory}/{kind};" for kind in kinds)
        config.write_text(
            f"daemon off; master_process off; pid {directory}/nginx.pid;\n"
            f"error_log stderr;\nevents {{ }}\nhttp {{\n  access_log off;\n{paths}\n{servers}\n}}\n"
        )
        super().__init__(
            [find("nginx") or "nginx", "-c", str(config), "-p", str(directory)],
            directory / "nginx.log",
        )


class Squid(Daemon):
    """squid on 127.0.0.1, which asks the name server on port 53 and serves all of this machine.

    *directory* must be open to others, since squid gives up its rights. It wants the credentials
    in *passwords*, a file as htpasswd writes it, if there is one.
    """

    def __init__(self, directory: Path, port: int, passwords: Path | None = None) -> None:
        config = directory / "squid.conf"
        wants = f"""
auth_param basic program /usr/lib/squid/basic_ncsa_auth {passwords}
acl known proxy_auth REQUIRED
http_access deny !known
"""
        config.write_text(
            f"http_port 127.0.0.1:{port}\ndns_nameservers 127.0.0.1\npid_filename none\n"
            f"cache deny all\ncache_log {directory}/cache.log\naccess_log none\n"
            f"coredump_dir none\nshutdown_lifetime 0 seconds\nvisible_hostname parent.test\n"
            "acl forbidden dstdomain forbidden.test\nhttp_access deny forbidden\n"
            f"{wants if passwords is not None else ''}http_access allow all\n"
        )
        super().__init__(
            [find("squid") or "squid", "-N", "-n", f"test{port}", "-f", str(config)],
            directory / "squid.log",
        )
        self.wait_port(port)


class Tinyproxy(Daemon):
    """tinyproxy on 127.0.0.1, which asks the name server on port 53.

    It wants these *credentials*, `user password`, if there are some.
    """

    def __init__(self, directory: Path, port: int, credentials: str = "") -> None:
        config, resolv = directory / "tinyproxy.conf", directory / "tinyproxy.resolv.conf"
        resolv.write_text("nameserver 127.0.0.1\n")
        wants = f"BasicAuth {credentials}\n" if credentials else ""
        config.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\n{wants}")
        command = [find("tinyproxy") or "tinyproxy", "-d", "-c", str(config)]
        files = {"/etc/resolv.conf": resolv}
        super().__init__(with_files(files, *command), directory / "tinyproxy.log")
        self.wait_port(port)
