"""What a listing changes of a view, and what is asked next; pure."""
