"""The drawing of the design holds: imports point one way, and the core is pure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# In a process of its own, since import-linter configures logging for the whole process.
LINT = "import sys, importlinter.cli as cli; sys.exit(cli.lint_imports(no_cache=True))"


@pytest.mark.timeout(30)
def test_import_contracts_are_kept() -> None:
    done = subprocess.run(  # noqa: S603 our own interpreter
        [sys.executable, "-c", LINT], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
