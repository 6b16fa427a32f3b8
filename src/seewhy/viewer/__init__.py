"""One viewer of explanations, plain JavaScript and CSS in `assets`, and the hosts that show it."""
