"""AdaLoRA (arXiv:2303.10512): low-rank additions whose ranks are allotted while they are trained."""
