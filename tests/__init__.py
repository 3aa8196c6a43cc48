"""The suite: one file for each source file, the kit they share, the demo and the article."""
