"""The state of an installation as figures for Prometheus: read when asked for, kept nowhere."""
