"""`python -m agent run`, or another command, as in its pod.

Only the folder of the service account's files is another: ours is in POD_FILES, because the one
that Kubernetes mounts has a fixed place on every machine.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from kubernetes_asyncio.config import incluster_config

from agent import commands

if __name__ == "__main__":
    files = Path(os.environ.pop("POD_FILES"))
    incluster_config.SERVICE_TOKEN_FILENAME = str(files / "token")
    incluster_config.SERVICE_CERT_FILENAME = str(files / "ca.crt")
    commands.SERVICE_ACCOUNT_NAMESPACE = files / "namespace"
    sys.exit(commands.run(sys.argv[1:] or ["run"]))
