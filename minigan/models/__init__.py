"""The networks, one file per family: builders that read like the papers' tables, and the modules that they need."""
