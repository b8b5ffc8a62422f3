"""Training sets at the paper's scale: planned, generated, captioned, filtered and written, a chunk at a time.

Every stage reads and writes files of ``CHUNK`` candidates in the work folder beside the set: memory does not grow with
the set, many processes share the chunks, and what a kill leaves is gone on with. A stage's folder is named by a hash of
all that decides its contents, so that other settings never meet old results. Appendix A.2 of arXiv:2504.00396v2.
"""
