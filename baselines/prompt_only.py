"""What the original model makes of the complete text: the floor of response for any training."""

from spf_bench.method import Method


class PromptOnly(Method):
    """Samples the untouched model with base and target text; every default of a method is meant for this."""

    name = "prompt_only"
    title = "Prompt only"
    source = "spf-bench"
