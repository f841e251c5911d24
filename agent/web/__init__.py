"""What the agent shows of itself over HTTP: health, readiness, metrics; closed words, numbers."""
