"""The engine and the image, once for all tests."""

from __future__ import annotations

import json
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.image.engine import Engine, Missing, authorities, engine
from tests.image.lab import Lab, certificates, lab

TAG = "botkube-analytics:test"


@attrs.frozen
class Image:
    """The built image: its configuration, and its files as a container has them."""

    engine: Engine
    inspected: dict[str, Any]
    files: Path
    members: dict[str, tarfile.TarInfo]
    foreign: str
    """An authority that was given to pip alone."""

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = self.inspected["Config"]
        return found

    def read(self, name: str) -> bytes:
        with tarfile.open(self.files) as archive:
            found = archive.extractfile(name)
            assert found is not None, name
            return found.read()

    def heads(self, suffix: str) -> Iterator[bytes]:
        """Return the first bytes of every file with a suffix, in one pass."""
        with tarfile.open(self.files) as archive:
            for one in archive:
                found = archive.extractfile(one) if one.name.endswith(suffix) else None
                if found is not None:
                    yield found.read(16)


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("image")
    certificates(folder)
    foreign, given = (folder / "ca.pem").read_text(), folder / "given.pem"
    given.write_text(f"{authorities()}\n{foreign}")
    try:
        with engine() as started:
            started.build(TAG, ca_file=given)
            inspected = json.loads(started("image", "inspect", TAG))[0]
            files = folder / "files.tar"
            container = started("create", TAG).strip()
            started("export", "--output", files, container)
            started("rm", container)
            with tarfile.open(files) as archive:
                members = {one.name: one for one in archive}
            yield Image(started, inspected, files, members, foreign)
    except Missing as missing:
        pytest.skip(f"no image: {missing}")


@pytest.fixture
async def world(image: Image, tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(image.engine, TAG, tmp_path) as opened:
        yield opened
