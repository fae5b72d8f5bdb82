"""`python -m videofleet_license`."""

from videofleet_license.app import main

if __name__ == "__main__":
    main()
