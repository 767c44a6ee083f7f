"""The trackers of tasks: ``bd``, or the embedded store with the same file format."""
