"""The contract of videofleet: resources, worker protocol and result documents.

Pure data: nothing here performs input or output, so every part may import it.
"""
