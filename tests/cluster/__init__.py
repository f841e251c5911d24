"""The agent against a real API server; `make test-cluster`."""
