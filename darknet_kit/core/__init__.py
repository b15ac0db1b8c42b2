"""What every floor above shares: boxes, records, problems, files, the worker pool."""
