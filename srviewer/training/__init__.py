"""Training of the networks: recipes, data, and the loop (needs the extra ``train``)."""
