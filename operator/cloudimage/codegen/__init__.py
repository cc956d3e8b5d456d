"""Writes the files of the repository that are made from the models; nothing that runs needs it."""
