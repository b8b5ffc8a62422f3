"""User study: people compare two methods' portraits pair by pair (Sec. 4.3 and appendix F of arXiv:2504.00396v2).

``make`` picks what is compared and writes a folder, ``serve`` or one HTML file asks people, ``tally`` counts.
"""
