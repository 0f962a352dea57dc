"""How the chain is asked each question: one module per family, over the SDK's connection."""
