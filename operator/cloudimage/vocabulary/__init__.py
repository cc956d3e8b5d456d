"""Glance's terms: formats, visibilities, known properties, our marks on images."""
