"""What spec.customize asks for: done with libguestfs, to an overlay over the source file."""
