"""Where data enters: the Kubernetes API, files and standard input. Knows no rules and no State."""
