"""From gates to layers: what CPU and GPU engines share."""
