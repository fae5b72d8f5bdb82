"""What leaves the worker: pictures, results, live views."""
