"""What trained networks are good for and what goes on inside them: reading codes, inverting g, walking its space."""
