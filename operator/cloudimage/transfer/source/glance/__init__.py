"""An image of another project, region or cloud: read from its Glance, and proved by its hash."""
