"""Pictures and tables of what lower floors computed."""
