"""Laws that every input keeps, and a coverage-guided search for one that breaks them."""
