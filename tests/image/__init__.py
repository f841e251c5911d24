"""The image, built and run; needs a container engine: `make test-image`."""
