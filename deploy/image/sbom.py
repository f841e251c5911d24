"""Write what the image holds as CycloneDX: the agent, its distributions, Python, Debian packages.

`sbom.py SITE_PACKAGES < FILES` runs in the builder stage. FILES are the interpreter and the shared
libraries that were copied, one path a line; a file of no package ends it with 1, so that the list
is whole or there is no image. Nothing of this is in the final stage but its output.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

if TYPE_CHECKING:
    from collections.abc import Iterable

OURS = "botkube-analytics"
LICENSE = "License :: OSI Approved :: "
FIELDS = ("Package", "Version", "Architecture", "source:Package", "source:Version")


def main() -> int:
    """Print the document."""
    found = {one.name: _of_distribution(one) for one in distributions(path=[sys.argv[1]])}
    bom = Bom()
    bom.metadata.component = found.pop(OURS)
    files = sys.stdin.read().split()
    bom.components.update(found.values(), [_python()], map(_of_package, _packages(files)))
    bom.register_dependency(bom.metadata.component, bom.components)
    print(JsonV1Dot6(bom).output_as_string(indent=1))  # noqa: T201 it is what this is run for
    return 0


def _of_distribution(one: Distribution) -> Component:
    return Component(
        type=ComponentType.APPLICATION if one.name == OURS else ComponentType.LIBRARY,
        name=one.name,
        version=one.version,
        purl=PackageURL("pypi", name=one.name.lower().replace("_", "-"), version=one.version),
        licenses=[LicenseFactory().make_from_string(text) for text in _licenses(one)],
    )


def _licenses(one: Distribution) -> list[str]:
    """Return the expression, else the name, unless it is the text itself; else the classifiers."""
    fields = one.metadata
    short = fields.get("License-Expression") or fields.get("License") or ""
    if short and "\n" not in short:
        return [short]
    classifiers = fields.get_all("Classifier") or []
    return [text.removeprefix(LICENSE) for text in classifiers if text.startswith(LICENSE)]


def _python() -> Component:
    version = platform.python_version()
    return Component(
        type=ComponentType.PLATFORM,
        name="python",
        version=version,
        purl=PackageURL("generic", name="python", version=version),
        # Without it no scanner would look for Python itself.
        cpe=f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*",
        licenses=[LicenseFactory().make_from_string("Python-2.0.1")],
    )


def _packages(files: Iterable[str]) -> set[str]:
    # The list of authorities is made by its package's script, so no package has it among its files.
    found = {"ca-certificates"}
    for file in files:
        owner = _owner(Path(file))
        if owner:
            found.add(owner)
        elif not file.startswith("/usr/local/"):
            raise SystemExit(f"{file} belongs to no Debian package")
    return found


def _owner(file: Path) -> str:
    """Return the package of a file; dpkg knows some by the path before /usr was merged."""
    names = {str(one).removeprefix("/usr") for one in (file, file.resolve())}
    wanted = [prefix + name for name in names for prefix in ("/usr", "")]
    said = _say("dpkg", "--search", *wanted)
    return said.split(": ")[0] if said else ""


def _of_package(package: str) -> Component:
    said = _say(
        "dpkg-query", "--show", "--showformat", "".join(f"${{{f}}}\n" for f in FIELDS), package
    )
    name, version, architecture, source, source_version = said.splitlines()
    system = platform.freedesktop_os_release()
    return Component(
        name=name,
        version=version,
        purl=PackageURL(
            "deb",
            namespace=system["ID"],
            name=name,
            version=version,
            qualifiers={
                "arch": architecture,
                "distro": f"{system['ID']}-{system['VERSION_ID']}",
                # Debian's advisories speak of source packages.
                "upstream": source if source_version == version else f"{source}@{source_version}",
            },
        ),
    )


def _say(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 ours
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
