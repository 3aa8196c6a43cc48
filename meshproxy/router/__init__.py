"""From a request to a client: identify, bind, dispatch; pure assembly."""
