"""Methods that turn records, activations and gradients into explanations."""
