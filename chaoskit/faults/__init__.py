"""What can go wrong, one file a kind. A fault carries its own undo and the sign by which its effect is seen."""
