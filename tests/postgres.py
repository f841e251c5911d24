"""A PostgreSQL server of the test's own: Debian's, on a socket in a directory that goes with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "postgres"
"""Whom the server runs as where the test is root: it refuses to be that."""
_SETTINGS = (
    # Nothing in it has to outlive the test.
    "-F -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c listen_addresses="
    " -c timezone=UTC -c max_wal_size=4GB"
)


def find_programs() -> Path | None:
    """Return where the newest server's programs are, if there is one."""
    places = [Path(one).parent for one in [shutil.which("initdb")] if one]
    debian = Path("/usr/lib/postgresql")
    if debian.is_dir():
        places += sorted(debian.glob("*/bin"), key=lambda one: int(one.parent.name), reverse=True)
    return next((one for one in places if (one / "pg_ctl").exists()), None)


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a server; give what a client needs to know to connect to it.

    Raises `FileNotFoundError` where no PostgreSQL is installed.
    """
    programs = find_programs()
    if programs is None:
        raise FileNotFoundError("no PostgreSQL is installed (Debian: apt-get install postgresql)")
    # Not the test's own directory: a socket's path is short, and the server's user has to reach it.
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as name:
        directory = Path(name)
        if os.geteuid() == 0:
            shutil.chown(directory, USER)
        data, log = directory / "data", directory / "log"
        _run(
            programs / "initdb",
            "-D",
            data,
            "-A",
            "trust",
            "-U",
            USER,
            "-E",
            "UTF8",
            "--no-locale",
            "-N",
        )
        control = (programs / "pg_ctl", "-D", data, "-w")
        _run(*control, "-l", log, "-o", f"{_SETTINGS} -k {directory}", "start")
        try:
            yield f"host={directory} user={USER} dbname=postgres"
        finally:
            _run(*control, "-m", "immediate", "stop")


def _run(*command: str | Path) -> None:
    user = USER if os.geteuid() == 0 else None
    done = subprocess.run(  # noqa: S603
        [str(one) for one in command],
        user=user,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise OSError(f"{command[0]}: {done.stderr.decode(errors='replace')[-500:]}")
