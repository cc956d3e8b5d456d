"""A volume, or a snapshot of one: Cinder uploads it to Glance."""
