"""From fitted network to bytes and back."""
