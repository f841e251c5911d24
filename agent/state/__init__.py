"""Where progress is kept: one document, replaced atomically, on disk or in a ConfigMap.

`document` is its shape (pure), `disk` and `configmap` are the two places, `keeper` loads and
commits. Nothing here knows how lines are read or batches are sent.
"""
