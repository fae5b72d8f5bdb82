"""Images without a registry and without a container engine: built by buildah, imported into containerd."""
