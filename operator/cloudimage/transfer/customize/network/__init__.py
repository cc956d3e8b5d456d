"""The one way out of the virtual machine: a proxy that reaches what the URL policy allows."""
