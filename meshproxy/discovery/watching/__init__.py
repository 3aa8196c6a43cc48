"""Following what the API of a discovery system says, over HTTP, while somebody wants to know."""
