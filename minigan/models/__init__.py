"""The networks, one file a family, each a pair of builders that read like the tables of the papers."""
