"""Where tasks live: ``bd``, or the embedded store with the same file format."""
