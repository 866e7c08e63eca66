"""Programs in answers: where they run, and how their tests call them."""
