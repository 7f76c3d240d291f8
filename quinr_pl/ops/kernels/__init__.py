"""The operations as code for the processor at hand."""
