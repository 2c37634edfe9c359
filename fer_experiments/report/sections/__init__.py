"""The sections of the page: one file for each, which builds the values of its template in report/templates/."""
