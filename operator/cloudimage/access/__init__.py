"""How a cloud is reached by credentials that a stranger wrote, and a server that a stranger runs.

What clouds.yaml may say (:mod:`~cloudimage.access.entry`), how much of it is read
(:mod:`~cloudimage.access.yamltext`), and the one session through which every request to a cloud
goes (:mod:`~cloudimage.access.session`). The operator's adapters and the transfer both use it.
"""
