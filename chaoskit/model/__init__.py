"""The nouns, as values and protocols. Pure, standard library only: nothing here starts, waits or writes."""
