"""What a report says: tables, excerpts to listen to, and the page that shows both."""
