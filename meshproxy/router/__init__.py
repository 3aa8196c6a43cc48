"""A router: identify, bind, dispatch; assembled here and nowhere else. Touches no socket."""
