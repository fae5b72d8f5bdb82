"""`python -m kubectl_videojob`."""

from kubectl_videojob.app import main

main()
