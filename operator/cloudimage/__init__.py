"""cloudimage-operator: OpenStack Glance images, kept as Kubernetes resources say."""

__version__ = "0.1.0"
