"""What the reconcilers of all kinds share: a work queue, pauses, status and Events."""
