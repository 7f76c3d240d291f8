"""Packaged configs, one YAML file a job."""
