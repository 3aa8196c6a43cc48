"""A router: identify, bind, dispatch; assembled only here. Uses no socket."""
