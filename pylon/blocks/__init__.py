"""Every block, once and in order: followed on the chain, published, and kept at hand."""
