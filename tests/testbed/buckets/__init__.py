"""The test bed's buckets: an S3 server of another project, and the client that fills it."""

from testbed.buckets.bed import OWNER, REGION, STRANGER, Buckets, Key

__all__ = ["OWNER", "REGION", "STRANGER", "Buckets", "Key"]
