"""The zoo: one model of each family of five libraries, explained with the defaults, and each answer checked."""
