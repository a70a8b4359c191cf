"""Is all well? Questions to the installation, each answered by itself and within its time."""
