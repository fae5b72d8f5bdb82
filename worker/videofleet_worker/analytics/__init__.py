"""What tracked objects do in the picture: zones that they enter and leave, lines that they cross. Arithmetic only."""
