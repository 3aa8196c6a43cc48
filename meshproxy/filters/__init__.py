"""What happens to a request between the server and the endpoint; one filter for each concern."""
