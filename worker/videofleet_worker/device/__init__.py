"""Pictures and models on the device that inference runs on: an NVIDIA GPU, or the processor by the same code."""
