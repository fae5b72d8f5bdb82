"""`python -m videofleet_clip`."""

from videofleet_clip.app import main

if __name__ == "__main__":
    main()
