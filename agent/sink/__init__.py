"""Where counts leave: the builder of batches, the delivery loop, one module a destination."""
