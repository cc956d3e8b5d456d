"""An object of a bucket: read over HTTP by signed requests, and proved by the store's checksum."""
