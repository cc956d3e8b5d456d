"""The resources as pydantic models: the one source of CRDs, reference docs and validation."""
