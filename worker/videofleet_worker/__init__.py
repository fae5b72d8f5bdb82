"""The videofleet worker: decodes, detects, tracks and records video streams."""

import os

# ONNX Runtime reports models and devices to its maker from 1.29 on unless this is set before it is first imported.
# A worker tells nobody about the videos it sees.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
