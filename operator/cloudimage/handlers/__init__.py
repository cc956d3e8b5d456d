"""Kubernetes' events in, plans carried out, status and Events out; the decisions are elsewhere."""
